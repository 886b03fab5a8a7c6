import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** Answers a data call instead of the stub, when it returns true. `count` numbers the data calls from 1. */
export type Intercept = (
  request: IncomingMessage,
  response: ServerResponse,
  count: number
) => boolean

/** The routes of a node that a benchmark uses, over a map in memory, with what was asked counted. */
export class StubServer {
  readonly calls = new Map<string, number>()
  /** The paths of the data calls, by connection, in the order of arrival. */
  readonly pathsBySocket = new Map<Socket, string[]>()
  readonly values = new Map<string, Buffer>()
  readonly buckets = new Map<string, object>()
  intercept: Intercept = () => false
  #dataCalls = 0
  readonly #server: Server = createServer(
    (request, response) => void this.#serve(request, response)
  )

  async listen(port = 0): Promise<void> {
    await once(this.#server.listen(port, '127.0.0.1'), 'listening')
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  count(method: string): number {
    return this.calls.get(method) ?? 0
  }

  async close(): Promise<void> {
    const closed = once(this.#server.close(), 'close')
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request)
    if (body === null) return
    const path = request.url ?? ''
    if (path === '/readyz') response.end('ok')
    else if (path.startsWith('/buckets/')) this.#serveBucket(request, response, path, body)
    else this.#serveData(request, response, path, body)
  }

  #serveBucket(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    body: Buffer
  ): void {
    if (request.method === 'PUT') this.buckets.set(path, JSON.parse(body.toString()))
    const properties = this.buckets.get(path)
    if (properties === undefined) response.statusCode = 404
    response.end(JSON.stringify(properties ?? {}))
  }

  #serveData(request: IncomingMessage, response: ServerResponse, path: string, body: Buffer): void {
    const method = `${request.method}`
    this.calls.set(method, this.count(method) + 1)
    const paths = this.pathsBySocket.get(request.socket) ?? []
    this.pathsBySocket.set(request.socket, [...paths, path])
    this.#dataCalls++
    if (this.intercept(request, response, this.#dataCalls)) return
    const stored = this.values.get(path)
    if (method === 'PUT') {
      this.values.set(path, body)
      response.writeHead(204, { 'causal-context': 'written' }).end()
    } else if (stored === undefined) {
      response.writeHead(404, { 'content-length': 0 }).end()
    } else {
      const headers = { 'content-length': stored.length, 'causal-context': `context-of-${path}` }
      response.writeHead(200, headers).end(stored)
    }
  }
}

/** Null when the client went away in the middle. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of request) pieces.push(piece)
  } catch {
    return null
  }
  return Buffer.concat(pieces)
}
