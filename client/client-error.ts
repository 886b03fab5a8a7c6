/** The body of an error, as `application/problem+json` (RFC 9457) with the fields that Anneal adds. */
export interface Problem {
  readonly code: string
  readonly title: string
  readonly detail: string
  readonly status: number
  readonly [field: string]: unknown
}

/**
 * A call that did not succeed. `code` is the server's (`quorum_unavailable`, `value_too_large`, …), or one of the
 * client's own: `unreachable` (no answer; the outcome of a write is not known unless `sent` is false), `unexplained`
 * (an error to HEAD, which has no body) and `unexpected_answer` (whatever answered does not speak this interface).
 */
export class AnnealClientError extends Error {
  readonly code: string
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number
  /** The base URL of the node that was asked last. */
  readonly node: string
  readonly problem: Problem
  /** False where the request certainly never reached a node. */
  readonly sent: boolean

  constructor(node: string, problem: Problem, sent: boolean, cause?: unknown) {
    super(problem.detail === '' ? problem.title : problem.detail, { cause })
    this.name = 'AnnealClientError'
    this.code = problem.code
    this.status = problem.status
    this.node = node
    this.problem = problem
    this.sent = sent
  }

  /** From an answer that is not a success; what is not problem+json becomes `unexpected_answer`. */
  static fromAnswer(node: string, status: number, body: string): AnnealClientError {
    if (body === '') return AnnealClientError.unexplained(node, status)
    const fields = parseObject(body)
    const text = (name: string): string => (typeof fields?.[name] === 'string' ? fields[name] : '')
    if (text('code') === '') return AnnealClientError.unexpected(node, status, body.slice(0, 200))
    const problem = {
      ...fields,
      code: text('code'),
      title: text('title'),
      detail: text('detail'),
      status
    }
    return new AnnealClientError(node, problem, true)
  }

  /** An error without a body, as HEAD gets it. */
  static unexplained(node: string, status: number): AnnealClientError {
    const detail = `${node} answered ${status} without saying why`
    const problem = { code: 'unexplained', title: 'Unexplained error', detail, status }
    return new AnnealClientError(node, problem, true)
  }

  static unexpected(node: string, status: number, what: string): AnnealClientError {
    const detail = `${node} answered ${status} with something an Anneal node would not say: ${what}`
    const problem = { code: 'unexpected_answer', title: 'Unexpected answer', detail, status }
    return new AnnealClientError(node, problem, true)
  }

  /** For a name that a URL cannot have; nothing was sent. */
  static unaddressable(what: 'bucket' | 'key', name: string): AnnealClientError {
    const detail = `the ${what} "${name}" cannot be part of a URL here: use another name, or a batch, whose names are not in the URL`
    return new AnnealClientError(
      '',
      { code: 'bad_key', title: 'Bad key', detail, status: 0 },
      false
    )
  }

  /** From what `fetch` threw. */
  static unreachable(node: string, thrown: unknown): AnnealClientError {
    const reason = reasonOf(thrown)
    const detail = `${node} cannot be reached: ${reason}`
    const problem = { code: 'unreachable', title: 'Unreachable', detail, status: 0 }
    return new AnnealClientError(node, problem, !neverSent.has(reason), thrown)
  }
}

/** Failures from before a connection existed, after which even a write may safely be tried elsewhere. */
const neverSent = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  // The ports that the fetch standard blocks, such as 6000.
  'bad port'
])

/** `fetch` only says "fetch failed"; the reason is a code of its cause, or of the causes below that. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  if (thrown.name === 'TimeoutError') return 'no answer in time'
  const cause = thrown.cause
  const errors = cause instanceof AggregateError ? cause.errors : [cause]
  for (const error of errors) {
    if (error instanceof Error && 'code' in error) return String(error.code)
  }
  return cause instanceof Error ? cause.message : thrown.message
}

function parseObject(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : null
  } catch {
    return null
  }
}
