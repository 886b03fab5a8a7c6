import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AnnealError } from '../../core/errors.ts'
import { metaBytesMax, metaEntriesMax } from '../../core/limits.ts'
import type { Meta } from '../../storage/version.ts'
import type { KeyView, WriteReceipt } from '../data-service.ts'
import { type Cursor, decodeCursor, encodeCursor } from '../key-walk.ts'
import type { Node } from '../node.ts'
import { prefers } from './accept.ts'
import { answerKey, defaultContentType, matches } from './answer-key.ts'
import { contentTypeOf, keepBodiesAsBytes } from './body-parsers.ts'
import { type DataQuery, optionsOf, quorumsOf } from './data-options.ts'
import { deleteAnswers, listAnswers, putAnswers, readAnswers } from './response-schemas.ts'
import {
  bucketParams,
  deleteHeaders,
  deleteQuery,
  keyParams,
  listQuery,
  putHeaders,
  putQuery,
  readHeaders,
  readQuery,
  valueBody
} from './schemas.ts'
import { type DataRoutes, type FlatHeaders, sendSmall } from './small-answer.ts'

const listLimitDefault = 1000
const emptyValue = Buffer.alloc(0)

/** `/kv`, on an instance of its own: here bodies are bytes, whatever their content type says. */
export function registerKvRoutes(app: FastifyInstance, routes: DataRoutes): void {
  const { node, admission } = routes
  const kv = app.withTypeProvider<TypeBoxTypeProvider>()
  keepBodiesAsBytes(kv)

  const readSchema = {
    summary: 'Read a key',
    tags: ['data'],
    params: keyParams,
    querystring: readQuery,
    headers: readHeaders,
    response: readAnswers
  }
  const readConfig = { swagger: { exposeHeadRoute: true } }
  kv.get('/kv/:bucket/:key', { schema: readSchema, config: readConfig }, async (request, reply) => {
    admission.enter()
    try {
      const { bucket, key } = request.params
      const view = await node.data.get(bucket, key, optionsOf(request, request.query))
      const { sibling } = request.query
      const ifNoneMatch = request.headers['if-none-match']
      return answerKey(request, reply, view, { sibling, ifNoneMatch }, routes)
    } finally {
      admission.leave()
    }
  })

  const putSchema = {
    summary: 'Write a key',
    tags: ['data'],
    params: keyParams,
    querystring: putQuery,
    headers: putHeaders,
    consumes: ['*/*'],
    body: valueBody,
    response: putAnswers
  }
  kv.put('/kv/:bucket/:key', { schema: putSchema }, async (request, reply) => {
    admission.enter()
    try {
      const { bucket, key } = request.params
      const receipt = await node.data.put(bucket, key, {
        ...optionsOf(request, request.query),
        precondition: preconditionOf(request),
        value: Buffer.isBuffer(request.body) ? request.body : emptyValue,
        contentType: contentTypeOf(request) ?? defaultContentType,
        meta: metaOf(request),
        ttlSeconds: request.query.ttl,
        returnObject: request.query.return === 'body'
      })
      return answerWrite(request, reply, receipt, routes)
    } finally {
      admission.leave()
    }
  })

  const deleteSchema = {
    summary: 'Delete a key',
    tags: ['data'],
    params: keyParams,
    querystring: deleteQuery,
    headers: deleteHeaders,
    response: deleteAnswers
  }
  kv.delete('/kv/:bucket/:key', { schema: deleteSchema }, (request, reply) =>
    admission.admit(async () => {
      const { bucket, key } = request.params
      const receipt = await node.data.delete(bucket, key, {
        ...optionsOf(request, request.query),
        precondition: preconditionOf(request)
      })
      return answerWrite(request, reply, receipt, routes)
    })
  )

  const listSchema = {
    summary: 'List the keys of a bucket, by a walk over all partitions',
    tags: ['data'],
    params: bucketParams,
    querystring: listQuery,
    response: listAnswers
  }
  kv.get('/kv/:bucket', { schema: listSchema }, (request, reply) =>
    admission.admit(() => listKeys(node, request, reply, request.params.bucket, request.query))
  )
}

const metaPrefix = 'x-meta-'

function metaOf(request: FastifyRequest): Meta {
  const meta: [string, string][] = []
  let bytes = 0
  for (const name in request.headers) {
    if (!name.startsWith(metaPrefix)) continue
    const value = request.headers[name]
    const text = Array.isArray(value) ? value.join(', ') : (value ?? '')
    bytes += name.length + text.length
    meta.push([name.slice(metaPrefix.length), text])
  }
  if (meta.length > metaEntriesMax || bytes > metaBytesMax) {
    throw new AnnealError(
      'bad_parameter',
      `there are ${meta.length} X-Meta headers with ${bytes} bytes; there may be ${metaEntriesMax} with ${metaBytesMax} bytes`,
      { parameter: 'X-Meta' }
    )
  }
  if (meta.some(([name]) => name === '')) {
    throw new AnnealError('bad_parameter', 'an X-Meta- header has no name', { parameter: 'X-Meta' })
  }
  return meta.length > 1 ? meta.sort(([a], [b]) => (a < b ? -1 : 1)) : meta
}

/** What `If-Match` and `If-None-Match` ask for; nothing where neither is there. */
function preconditionOf({ headers }: FastifyRequest): ((view: KeyView) => void) | undefined {
  const ifMatch = headers['if-match']
  const ifNoneMatch = headers['if-none-match']
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined
  return (view) => {
    if (ifMatch !== undefined && !isMatch(ifMatch, view)) {
      throw new AnnealError('precondition_failed', `If-Match does not hold: ${stateOf(view)}`)
    }
    if (ifNoneMatch !== undefined && isMatch(ifNoneMatch, view)) {
      throw new AnnealError('precondition_failed', `If-None-Match does not hold: ${stateOf(view)}`)
    }
  }
}

function isMatch(header: string, view: KeyView): boolean {
  return view.state === 'found' && matches(header, `"${view.etag}"`)
}

function stateOf(view: KeyView): string {
  return view.state === 'found' ? `the key has the ETag "${view.etag}"` : 'the key has no value'
}

function answerWrite(
  request: FastifyRequest,
  reply: FastifyReply,
  receipt: WriteReceipt,
  routes: DataRoutes
): FastifyReply {
  const { view, coordinator, context, etag, answered, asked, hinted } = receipt
  // The conditions of a write have been checked before it, and say nothing about its answer.
  if (view !== null) return answerKey(request, reply, view, { coordinator, hinted }, routes)
  const headers: FlatHeaders = [
    'x-coordinator',
    coordinator,
    'x-replicas',
    `${answered}/${asked}`,
    'etag',
    `"${etag}"`,
    'causal-context',
    context
  ]
  if (hinted > 0) headers.push('x-hinted', String(hinted))
  return sendSmall(reply, routes, 204, headers, null)
}

interface ListQuery extends DataQuery {
  readonly prefix?: string
  readonly limit?: number
  readonly cursor?: string
}

async function listKeys(
  node: Node,
  request: FastifyRequest,
  reply: FastifyReply,
  bucket: string,
  query: ListQuery
): Promise<FastifyReply> {
  const options = quorumsOf(request, query)
  const { keys, next } = await node.walk.page({
    bucket: node.data.checkName('bucket', bucket),
    prefix: Buffer.from(query.prefix ?? ''),
    limit: query.limit ?? listLimitDefault,
    cursor: cursorOf(query),
    r: node.data.readQuorum(bucket, options),
    timeoutMs: options.timeoutMs ?? node.config.http.defaultTimeoutMs
  })
  const cursor = next === null ? null : encodeCursor(next)
  if (cursor !== null) reply.header('X-Cursor', cursor)
  if (!prefers(request.headers.accept, 'application/x-ndjson', 'application/json'))
    return reply.send({ keys, cursor })
  const lines = keys.map((key) => `${JSON.stringify({ key })}\n`)
  if (cursor !== null) lines.push(`${JSON.stringify({ cursor })}\n`)
  return reply.header('Content-Type', 'application/x-ndjson').send(lines.join(''))
}

/** An empty cursor is that of a client that has none yet. */
function cursorOf({ cursor = '' }: ListQuery): Cursor {
  return cursor === '' ? { partition: 0, from: emptyValue } : decodeCursor(cursor)
}
