import type { FastifyRequest } from 'fastify'
import { AnnealError } from '../../core/errors.ts'
import type { QuorumSpec } from '../../ring/cluster-document.ts'
import type { RequestOptions } from '../data-service.ts'
import { awaitLongAnswer } from './socket-patience.ts'

/** The query that every data call takes, as the schema lets it through. */
export interface DataQuery {
  readonly r?: string
  readonly w?: string
  readonly timeout?: number
  readonly sloppy?: boolean
}

/** What a data request asks for beside its key. Errors: `bad_context` where there are several. */
export function optionsOf(request: FastifyRequest, query: DataQuery): RequestOptions {
  const context = request.headers['causal-context']
  if (Array.isArray(context))
    throw new AnnealError('bad_context', 'there may be one Causal-Context')
  return { ...quorumsOf(request, query), context }
}

/** As `optionsOf`, for a request whose operations have contexts of their own. */
export function quorumsOf(request: Pick<FastifyRequest, 'raw'>, query: DataQuery): RequestOptions {
  const { r, w, timeout, sloppy } = query
  if (timeout !== undefined) awaitLongAnswer(request, timeout)
  return { r: quorumOf(r), w: quorumOf(w), timeoutMs: timeout, sloppy }
}

/** The schema has let through only what this understands. */
function quorumOf(text: string | undefined): QuorumSpec | undefined {
  if (text === undefined) return undefined
  return /^\d/.test(text) ? Number(text) : (text as QuorumSpec)
}
