import { AnnealClientError } from './client-error.ts'

export interface Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly headers?: Headers
  readonly body?: Uint8Array
  /** How long the server was told that it may take. */
  readonly serverTimeoutMs?: number | undefined
  /** A call that changes nothing may be tried again in every case. Default: whether the method is GET or HEAD. */
  readonly isRead?: boolean
  /** Statuses other than 2xx that are an answer and not an error. */
  readonly isAccepted?: (answer: Answer) => boolean
}

/** For what a call takes beside the time that its server has. */
const graceMs = 5000
const clientCodes = new Set(['unexplained', 'unexpected_answer'])

/** An answer that has been received whole. */
export class Answer {
  readonly node: string
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array

  constructor(node: string, status: number, headers: Headers, body: Uint8Array) {
    this.node = node
    this.status = status
    this.headers = headers
    this.body = body
  }

  text(): string {
    return new TextDecoder().decode(this.body)
  }

  /** The `code` of a problem+json body, or null. */
  code(): string | null {
    const error = AnnealClientError.fromAnswer(this.node, this.status, this.text())
    return clientCodes.has(error.code) ? null : error.code
  }

  /** The JSON object in the body; the fields named must be there, the rest is the caller's trust in the server. */
  json<T>(...fields: readonly (string & keyof T)[]): T {
    try {
      const parsed: unknown = JSON.parse(this.text())
      if (isObject<T>(parsed) && fields.every((field) => field in parsed)) return parsed
    } catch {
      // Told below, like every other body that is not what was asked for.
    }
    throw AnnealClientError.unexpected(this.node, this.status, this.text().slice(0, 200))
  }
}

function isObject<T>(value: unknown): value is T & object {
  return typeof value === 'object' && value !== null
}

/** Sends calls to the first node of a list, and where that one does not serve, once more to the next. */
export class HttpCaller {
  readonly #nodes: readonly string[]
  readonly #timeoutMs: number
  #preferred = 0

  constructor(nodes: readonly string[], timeoutMs: number) {
    this.#nodes = nodes.map(baseUrl)
    this.#timeoutMs = timeoutMs
  }

  async call(call: Call): Promise<Answer> {
    const first = this.#preferred
    try {
      return await this.#callNode(this.#nodes[first] ?? '', call)
    } catch (thrown) {
      const next = (first + 1) % this.#nodes.length
      if (next === first || !mayTryElsewhere(call, thrown)) throw thrown
      const answer = await this.#callNode(this.#nodes[next] ?? '', call)
      // Stay with the node that serves, instead of meeting the broken one again at every call.
      this.#preferred = next
      return answer
    }
  }

  async #callNode(node: string, call: Call): Promise<Answer> {
    const answer = await this.#exchange(node, call)
    const isSuccess = answer.status >= 200 && answer.status < 300
    if (isSuccess || call.isAccepted?.(answer) === true) return answer
    throw AnnealClientError.fromAnswer(node, answer.status, answer.text())
  }

  /** To give up before the server does would be to lose its answer. */
  #patienceMs({ serverTimeoutMs }: Call): number {
    if (serverTimeoutMs === undefined) return this.#timeoutMs
    return Math.max(this.#timeoutMs, serverTimeoutMs + graceMs)
  }

  async #exchange(node: string, call: Call): Promise<Answer> {
    try {
      const response = await fetch(`${node}${call.path}`, {
        method: call.method,
        headers: call.headers ?? new Headers(),
        body: call.body === undefined ? null : Uint8Array.from(call.body),
        redirect: 'manual',
        signal: AbortSignal.timeout(this.#patienceMs(call))
      })
      const body = new Uint8Array(await response.arrayBuffer())
      return new Answer(node, response.status, response.headers, body)
    } catch (thrown) {
      throw AnnealClientError.unreachable(node, thrown)
    }
  }
}

function mayTryElsewhere(call: Call, thrown: unknown): boolean {
  if (!(thrown instanceof AnnealClientError)) return false
  if (thrown.code === 'not_ready') return true
  if (thrown.code === 'unexplained') return thrown.status === 503
  if (thrown.code !== 'unreachable') return false
  return call.isRead ?? (call.method === 'GET' || call.method === 'HEAD' || !thrown.sent)
}

/** Adds the scheme where only `host:port` is given, and drops a trailing slash. Errors: TypeError for no URL at all. */
function baseUrl(node: string): string {
  const url = new URL(/^https?:\/\//.test(node) ? node : `http://${node}`)
  return `${url.origin}${url.pathname}`.replace(/\/$/, '')
}
