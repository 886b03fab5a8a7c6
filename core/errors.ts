/**
 * The closed set of error codes with the HTTP status that each is answered with. Every code is documented in
 * docs/reference/errors.md; a test compares the two.
 */
export const errorStatus = {
  bad_key: 400,
  bad_context: 400,
  bad_parameter: 400,
  bad_body: 400,
  bad_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  no_such_route: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  request_timeout: 408,
  too_many_siblings: 409,
  precondition_failed: 412,
  value_too_large: 413,
  expectation_failed: 417,
  headers_too_large: 431,
  internal: 500,
  overloaded: 503,
  quorum_unavailable: 503,
  stale: 503,
  not_ready: 503,
  timeout: 504,
  disk_full: 507
} as const

export type ErrorCode = keyof typeof errorStatus
export const errorCodes = Object.keys(errorStatus) as readonly ErrorCode[]

/** Facts that help the caller, given next to the message: plain JSON values only. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | readonly string[]>>

/** An operating error: something that can happen to a correct program, said in words for the person who meets it. */
export class AnnealError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'AnnealError'
    this.code = code
    this.details = details
  }

  get status(): number {
    return errorStatus[this.code]
  }

  /** The one place where anything thrown becomes an AnnealError; what is not known yet is `internal`. */
  static from(thrown: unknown): AnnealError {
    if (thrown instanceof AnnealError) return thrown
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return new AnnealError('internal', message, {}, thrown)
  }
}

const decodeErrorCharactersMax = 500

/**
 * Bytes that are not what they claim to be: a truncated frame, a damaged row, a forged token. Messages may quote what
 * came, which can be megabytes, and go into logs and answers; so a long one is cut.
 */
export class DecodeError extends Error {
  constructor(message: string) {
    super(message.slice(0, decodeErrorCharactersMax).toWellFormed())
    this.name = 'DecodeError'
  }
}
