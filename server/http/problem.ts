import type { FastifyReply } from 'fastify'
import { AnnealError, type ErrorCode, errorStatus } from '../../core/errors.ts'
import type { NodeMetrics } from '../node-metrics.ts'
import { jsonOnly } from './body-parsers.ts'

/** RFC 9457, with `code` for programs and whatever facts the error carries. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly [fact: string]: unknown
}

export const problemType = 'application/problem+json'
const retryAfterSeconds = '1'

/** The body of a problem without further facts. */
export function problemText(code: ErrorCode, detail: string): string {
  return JSON.stringify({
    type: 'about:blank',
    title: titleOf(code),
    status: errorStatus[code],
    code,
    detail
  } satisfies Problem)
}

export function problemOf(error: AnnealError): Problem {
  const { code, status, message, details } = error
  return { type: 'about:blank', title: titleOf(code), status, code, detail: message, ...details }
}

export function sendProblem(
  reply: FastifyReply,
  error: AnnealError,
  metrics: NodeMetrics
): FastifyReply {
  metrics.countProblem(error.code)
  if (error.code === 'overloaded' || error.code === 'not_ready') {
    reply.header('Retry-After', retryAfterSeconds)
  }
  return reply
    .code(error.status)
    .type(problemType)
    .send(JSON.stringify(problemOf(error)))
}

function titleOf(code: ErrorCode): string {
  const words = code.replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Whatever the HTTP library or a handler throws, as one of our own errors. */
export function toAnnealError(
  thrown: unknown,
  { maxKeyBytes, maxValueBytes }: { readonly maxKeyBytes: number; readonly maxValueBytes: number }
): AnnealError {
  if (thrown instanceof AnnealError) return thrown
  const error = thrown as Error & { code?: string; statusCode?: number }
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new AnnealError(
        'value_too_large',
        `the body is larger than ${maxValueBytes} bytes: split it, or have limits.maxValueBytes raised`,
        { maxValueBytes }
      )
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new AnnealError(
        'bad_key',
        `the bucket or the key is far longer than the ${maxKeyBytes} bytes that it may have`,
        { maxKeyBytes }
      )
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_ASYNC_CONSTRAINT':
      return new AnnealError(
        'bad_key',
        'the path is not percent-encoded UTF-8: encode each of bucket and key with encodeURIComponent'
      )
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new AnnealError('bad_body', jsonOnly)
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new AnnealError('bad_body', 'the body is not as long as its Content-Length says')
    default:
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new AnnealError('bad_request', error.message)
  }
  return AnnealError.from(thrown)
}
