import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import { AnnealError } from '../../core/errors.ts'
import { batchOperationsMax } from '../../core/limits.ts'
import type { KeyView, RequestOptions } from '../data-service.ts'
import type { Node } from '../node.ts'
import type { Admission } from './admission.ts'
import { defaultContentType, describeSibling } from './answer-key.ts'
import { quorumsOf } from './data-options.ts'
import { problemOf } from './problem.ts'
import { batchAnswers } from './response-schemas.ts'
import { batchBody, batchQuery } from './schemas.ts'

const body = batchBody(batchOperationsMax)
type Operation = Static<typeof body>['ops'][number]

const concurrency = 32

/** `/kv/batch`: many operations in one request, each with its own outcome. Not atomic. */
export function registerBatchRoute(app: FastifyInstance, node: Node, admission: Admission): void {
  const schema = {
    summary: 'Several operations in one request; not atomic',
    tags: ['data'],
    querystring: batchQuery,
    body,
    response: batchAnswers
  }
  app.withTypeProvider<TypeBoxTypeProvider>().post('/kv/batch', { schema }, (request, reply) =>
    admission.admit(async () => {
      const quorums = quorumsOf(request, request.query)
      const hold = admission.holdPieces(reply)
      const run = (operation: Operation) => carryOut(node, operation, quorums, hold)
      const results = await mapBounded(request.body.ops, run)
      return reply.type('application/json; charset=utf-8').send(joined(results))
    })
  )
}

/** The result as JSON. `hold` is called with the size of what was read; a write is not refused once it is done. */
async function carryOut(
  node: Node,
  operation: Operation,
  quorums: RequestOptions,
  hold: (bytes: number) => void
): Promise<Buffer> {
  try {
    const result = asJson(await perform(node, operation, quorums))
    if (operation.op === 'get') hold(result.length)
    return result
  } catch (thrown) {
    return asJson(problemOf(AnnealError.from(thrown)))
  }
}

function asJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function joined(results: readonly Buffer[]): Buffer {
  const comma = Buffer.from(',')
  const list = results.flatMap((result, i) => (i === 0 ? [result] : [comma, result]))
  return Buffer.concat([Buffer.from('{"atomic":false,"results":['), ...list, Buffer.from(']}')])
}

async function perform(node: Node, operation: Operation, quorums: RequestOptions) {
  const { op, bucket, key, value, context, contentType } = operation
  const options = { ...quorums, context: context ?? undefined }
  if (op === 'get') return describeView(await node.data.get(bucket, key, options))
  if (op === 'delete') {
    const receipt = await node.data.delete(bucket, key, options)
    return { status: 204, context: receipt.context, etag: receipt.etag }
  }
  if (value === undefined) throw new AnnealError('bad_body', 'a put needs a value, in base64')
  const bytes = Buffer.from(value, 'base64')
  if (bytes.toString('base64').replace(/=+$/, '') !== value.replace(/=+$/, '')) {
    throw new AnnealError('bad_body', 'the value of a put is not base64')
  }
  const put = { ...options, value: bytes, contentType: contentType ?? defaultContentType, meta: [] }
  const receipt = await node.data.put(bucket, key, put)
  return { status: 204, context: receipt.context, etag: receipt.etag }
}

function describeView(view: KeyView) {
  const { state, siblings, context, etag } = view
  const [first] = siblings
  if (state === 'none') {
    return problemOf(new AnnealError('not_found', 'the key has no value'))
  }
  if (state === 'deleted' || first === undefined) {
    const error = problemOf(new AnnealError('not_found', 'the key was deleted, or has expired'))
    return { ...error, deleted: true, context }
  }
  if (siblings.length === 1) return { status: 200, context, ...describeSibling(first) }
  return { status: 300, context, etag, siblings: siblings.map(describeSibling) }
}

/** In order, a bounded number at a time. */
async function mapBounded<T, U>(items: readonly T[], run: (item: T) => Promise<U>): Promise<U[]> {
  const results: U[] = new Array(items.length)
  let next = 0
  const work = async () => {
    for (let i = next++; i < items.length; i = next++) {
      const item = items[i]
      if (item !== undefined) results[i] = await run(item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work))
  return results
}
