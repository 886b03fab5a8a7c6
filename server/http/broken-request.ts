import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { AnnealError } from '../../core/errors.ts'
import { problemOf, problemType } from './problem.ts'

/** Answers what is not even an HTTP request, in the form of every other error, and hangs up. */
export function answerBrokenRequest(thrown: Error & { code?: string }, socket: Socket): void {
  if (thrown.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const error = describe(thrown)
  const body = JSON.stringify(problemOf(error))
  socket.end(
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\nContent-Type: ${problemType}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
  )
}

function describe({ code, message }: Error & { code?: string }): AnnealError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new AnnealError('headers_too_large', 'the headers are larger than this node takes')
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new AnnealError('request_timeout', 'the request did not arrive in time')
    default:
      return new AnnealError('bad_request', `this is not an HTTP request: ${message}`)
  }
}
