import type { FastifyReply, FastifyRequest } from 'fastify'
import { valueBytesCeiling } from '../../core/limits.ts'

/**
 * Takes in and throws away what a client is still sending although its request has been refused. To hang up on it
 * instead would reset the connection, and the client would most often see that and never the answer that says why.
 * A client that sends more than the largest value that any cluster takes is hung up on all the same.
 */
export function discardRest({ raw }: FastifyRequest, reply: FastifyReply): void {
  reply.removeHeader('Connection')
  if (raw.complete) return
  let bytes = 0
  raw.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > valueBytesCeiling) raw.destroy()
  })
  // The client is free to hang up first.
  raw.on('error', () => {})
  raw.resume()
}
