import { Agent, request } from 'node:http'

/** One answer, or status 0 with `failure` where none came. Values are text here. */
export interface KvAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  readonly ms: number
  readonly failure: string
}

export interface KvCall {
  readonly method?: 'GET' | 'PUT' | 'DELETE' | 'POST'
  readonly value?: string | Buffer
  readonly context?: string | undefined
  readonly agent?: Agent
}

const callTimeoutMs = 20_000
const sharedAgent = new Agent({ keepAlive: true, maxSockets: 512 })

/** One request on a kept-alive connection; the path goes out as it is. Never rejects. */
export function call(url: string, path: string, options: KvCall = {}): Promise<KvAnswer> {
  const { method = 'GET', value, context, agent = sharedAgent } = options
  const startedMs = performance.now()
  const { hostname, port } = new URL(url)
  const headers: Record<string, string | number> = {}
  if (context !== undefined) headers['Causal-Context'] = context
  if (value !== undefined) headers['Content-Length'] = Buffer.byteLength(value)
  return new Promise((resolve) => {
    const fail = (failure: string) =>
      resolve({ status: 0, headers: {}, body: Buffer.alloc(0), failure, ms: elapsed(startedMs) })
    const outgoing = request({ hostname, port, path, method, headers, agent }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', (error) => fail(error.message))
      incoming.on('end', () => {
        const { statusCode: status = 0, headers: received } = incoming
        const body = Buffer.concat(chunks)
        resolve({ status, headers: received, body, failure: '', ms: elapsed(startedMs) })
      })
    })
    outgoing.setTimeout(callTimeoutMs, () => outgoing.destroy(new Error('no answer in 20 s')))
    outgoing.on('error', (error) => fail(error.message))
    outgoing.end(value)
  })
}

export function put(
  url: string,
  path: string,
  value: string | Buffer,
  context?: string
): Promise<KvAnswer> {
  return call(url, path, { method: 'PUT', value, context })
}

export function get(url: string, path: string): Promise<KvAnswer> {
  return call(url, path)
}

/** The values of a GET: none, one, or siblings, as text. Errors: throws for any other answer. */
export function valuesOf(answer: KvAnswer): readonly string[] {
  if (answer.status === 200) return [answer.body.toString()]
  if (answer.status === 404) return []
  if (answer.status !== 300) throw new Error(`not the answer of a read: ${describe(answer)}`)
  const { siblings } = JSON.parse(answer.body.toString()) as { siblings: { value: string }[] }
  return siblings.map(({ value }) => Buffer.from(value, 'base64').toString())
}

export function contextOf(answer: KvAnswer): string | undefined {
  const context = answer.headers['causal-context']
  return typeof context === 'string' ? context : undefined
}

/** The fields of an error's body; empty where it is none. */
export function problemOf(answer: KvAnswer): Readonly<Record<string, unknown>> {
  const type = String(answer.headers['content-type'])
  if (!type.startsWith('application/problem+json')) return {}
  return JSON.parse(answer.body.toString()) as Record<string, unknown>
}

/** For messages of failing tests. */
export function describe({ status, body, failure, ms }: KvAnswer): string {
  const text = failure === '' ? body.subarray(0, 300).toString() : failure
  return `${status} after ${Math.round(ms)} ms: ${text}`
}

function elapsed(startedMs: number): number {
  return performance.now() - startedMs
}
