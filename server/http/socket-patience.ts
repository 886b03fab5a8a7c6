import type { FastifyRequest } from 'fastify'

/** A connection on which nothing has moved for as long as this is hung up on. */
export const stalledSocketMs = 120_000
const longAnswerMs = stalledSocketMs / 4

/** Nothing moves while an answer is waited for: where that may take long, the connection has as much more time. */
export function awaitLongAnswer({ raw }: Pick<FastifyRequest, 'raw'>, timeoutMs: number): void {
  // Node.js takes the time back to the usual one when the next request begins.
  if (timeoutMs > longAnswerMs) raw.setTimeout(timeoutMs + stalledSocketMs)
}
