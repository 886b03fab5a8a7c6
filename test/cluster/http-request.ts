import { Agent, request } from 'node:http'

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** Without Content-Length. */
  readonly chunked?: boolean
}

/** An answer that has been received whole. */
export interface Received {
  readonly status: number
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly text: string
}

const answerTimeoutMs = 15_000
const agent = new Agent({ keepAlive: true, maxSockets: 64 })

/** One request whose path goes out exactly as it is. Errors: rejects where no answer comes in 15 seconds. */
export function send(
  url: string,
  method: string,
  path: string,
  { headers = {}, body, chunked = false }: Sent = {}
): Promise<Received> {
  const { hostname, port } = new URL(url)
  // Node would write a text and the headers before it as one string in UTF-8, which headers are not.
  const bytes = body === undefined ? undefined : Buffer.from(body)
  const length = bytes === undefined || chunked ? {} : { 'Content-Length': bytes.length }
  return new Promise((resolve, reject) => {
    const options = { hostname, port, method, path, agent, headers: { ...headers, ...length } }
    const outgoing = request(options, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', reject)
      incoming.on('end', () => {
        const whole = Buffer.concat(chunks)
        const received = Object.entries(incoming.headers).map(
          ([name, value]) => [name, String(value)] as const
        )
        resolve({
          status: incoming.statusCode ?? 0,
          headers: Object.fromEntries(received),
          body: whole,
          text: whole.toString()
        })
      })
    })
    outgoing.setTimeout(answerTimeoutMs, () =>
      outgoing.destroy(new Error(`${method} ${path.slice(0, 100)}: no answer in 15 s`))
    )
    // A server that has said no may close while the body is still being sent.
    outgoing.on('error', reject)
    if (chunked && bytes !== undefined) outgoing.write(bytes)
    outgoing.end(chunked ? undefined : bytes)
  })
}

/** As `send`, with JSON in the body. */
export function sendJson(
  url: string,
  method: string,
  path: string,
  value: unknown
): Promise<Received> {
  const headers = { 'Content-Type': 'application/json' }
  return send(url, method, path, { headers, body: JSON.stringify(value) })
}

export function keyPath(bucket: string, key: string): string {
  return `/kv/${encodeURIComponent(bucket)}/${encodeURIComponent(key)}`
}

/** The body as JSON, of whatever shape the test goes on to check. */
export function jsonOf<T = Readonly<Record<string, unknown>>>(received: Received): T {
  return JSON.parse(received.text)
}

export function contextOf(received: Received): string {
  return received.headers['causal-context'] ?? ''
}

/** The headers that carry a context. */
export function withContext(received: Received): Readonly<Record<string, string>> {
  return { 'Causal-Context': contextOf(received) }
}

export interface SiblingSeen {
  readonly value: string
  readonly contentType: string
  readonly etag: string
  readonly meta: Readonly<Record<string, string>>
}

/** What a GET found, as sorted texts: none, one, or siblings. Errors: throws for any other answer. */
export function valuesOf(received: Received): readonly string[] {
  if (received.status === 200) return [received.text]
  if (received.status === 404) return []
  if (received.status !== 300) throw new Error(`no answer of a read: ${describe(received)}`)
  const { siblings } = jsonOf<{ siblings: SiblingSeen[] }>(received)
  return siblings.map(({ value }) => Buffer.from(value, 'base64').toString()).sort()
}

/** For messages of failing tests. */
export function describe({ status, headers, text }: Received): string {
  return `${status} ${JSON.stringify(headers)} ${text.slice(0, 400)}`
}
