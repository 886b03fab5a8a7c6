import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'

export interface Request {
  readonly method: string
  /** Path and query, as they came. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export type Handler = (request: Request, response: ServerResponse) => void

export interface FakeNode {
  readonly url: string
  /** Everything that was asked, in order. */
  readonly requests: readonly Request[]
}

/** An HTTP server on a free port that answers as `handler` says, for as long as a test runs. */
export async function startFakeNode(t: TestContext, handler: Handler): Promise<FakeNode> {
  const requests: Request[] = []
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { method = '', url = '', headers } = incoming
      const request = { method, url, headers, body: Buffer.concat(chunks).toString() }
      requests.push(request)
      handler(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, requests }
}

export function sendJson(response: ServerResponse, status: number, document: object): void {
  const isProblem = status >= 400
  response.writeHead(status, {
    'content-type': isProblem ? 'application/problem+json' : 'application/json'
  })
  response.end(JSON.stringify(document))
}

/** A problem as a node writes it. */
export function sendProblem(response: ServerResponse, status: number, code: string): void {
  sendJson(response, status, { code, status, title: code, detail: `this is ${code}` })
}

/** What a bucket may be asked for when it holds nothing. */
export function sendMissing(response: ServerResponse, context?: string): void {
  if (context !== undefined) {
    response.setHeader('causal-context', context)
    response.setHeader('x-deleted', 'true')
  }
  sendProblem(response, 404, 'not_found')
}

export function sendValue(response: ServerResponse, value: string, context: string): void {
  response.writeHead(200, {
    'content-type': 'text/x-test',
    'causal-context': context,
    etag: '"e1"',
    'x-meta-colour': 'blue'
  })
  response.end(value)
}

export function sendSiblings(
  response: ServerResponse,
  values: readonly string[],
  context: string
): void {
  response.setHeader('causal-context', context)
  const siblings = values.map((value, index) => ({
    value: Buffer.from(value).toString('base64'),
    contentType: 'text/plain',
    lastModified: 'Thu, 01 Jan 1970 00:00:00 GMT',
    meta: { colour: 'blue' },
    etag: `"e${index}"`
  }))
  sendJson(response, 300, { siblings })
}

/**
 * An address that refuses every connection: nobody serves this port, and it lies below those that the operating system
 * hands out, so that no other test gets it.
 */
export const deadAddress = '127.0.0.1:2'
