import type { FastifyReply } from 'fastify'
import type { Node } from '../node.ts'
import type { Admission } from './admission.ts'
import type { AnsweredRequests } from './answered-requests.ts'

/** What the routes for data answer with the help of. */
export interface DataRoutes {
  readonly node: Node
  readonly admission: Admission
  readonly answered: AnsweredRequests
}

/** Names and values of headers in turn, the names in lower case. */
export type FlatHeaders = string[]

/** Bodies up to this size go out in one piece with their head. */
export const smallBodyBytesMax = 8 * 1024

/**
 * Answers past the framework, whose hooks and header objects cost more than all the rest of a small answer: this adds
 * what they would have. Head and body in one string are one write to the socket; a buffer behind a head takes a writev,
 * which costs as much as a small read. In latin1 each character is one byte of the body.
 *
 * Errors: throws what Node.js throws for characters that no header can have, and nothing has been sent.
 */
export function sendSmall(
  reply: FastifyReply,
  { node, admission, answered }: DataRoutes,
  status: number,
  headers: FlatHeaders,
  body: Buffer | null
): FastifyReply {
  const { request, raw } = reply
  headers.push('request-id', request.id)
  if (node.isStopping) headers.push('connection', 'close')
  if (body !== null) headers.push('content-length', String(body.length))
  raw.writeHead(status, headers)
  admission.releaseBody(request)
  answered.answered(request, status)
  reply.hijack()
  if (body === null) raw.end()
  else raw.end(body.toString('latin1'), 'latin1')
  return reply
}
