import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Node } from '../node.ts'
import { type Answers, answer, empty, problems } from './response-schemas.ts'

const closed = { additionalProperties: false } as const
const limitMax = 1000
const listQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: limitMax })),
    after: Type.Optional(Type.String({ description: 'The id of the last one of the page before' }))
  },
  closed
)
const idParams = Type.Object({ id: Type.String({ description: 'From GET /admin/quarantine' }) })
const time = Type.String({ format: 'date-time' })
const entry = Type.Object({
  id: Type.String(),
  bucket: Type.String(),
  key: Type.String(),
  node: Type.String({ description: 'Where it is kept' }),
  from: Type.String({ description: 'The node that brought or found it' }),
  since: time,
  reason: Type.String(),
  etag: Type.String(),
  tombstone: Type.Boolean(),
  bytes: Type.Integer(),
  lastModified: time
})
const listAnswers: Answers = {
  200: answer(
    'Up to `limit` versions, in the order of their ids',
    'application/json',
    Type.Array(entry)
  ),
  ...problems('bad_parameter')
}
const restoreAnswers: Answers = {
  204: empty('Written anew, and in quarantine no more'),
  ...problems('not_found', 'bad_request', 'quorum_unavailable', 'timeout', 'too_many_siblings')
}
const dropAnswers: Answers = { 204: empty('Gone for good'), ...problems('not_found') }

/** `/admin/quarantine`: versions that came up again after all replicas had done away with them. */
export function registerQuarantineRoutes(app: FastifyInstance, node: Node): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const tags = ['admin']

  const listSchema = {
    summary: 'Versions that this node has set aside',
    tags,
    querystring: listQuery,
    response: listAnswers
  }
  routes.get('/admin/quarantine', { schema: listSchema }, ({ query }) =>
    node.quarantine.list(query.limit ?? limitMax, query.after)
  )

  const restoreSchema = {
    summary: 'Let a version live again, as a new write',
    tags,
    params: idParams,
    response: restoreAnswers
  }
  routes.post(
    '/admin/quarantine/:id/restore',
    { schema: restoreSchema },
    async (request, reply) => {
      await node.quarantine.restore(request.params.id)
      return reply.code(204).send()
    }
  )

  const dropSchema = {
    summary: 'Delete a version for good',
    tags,
    params: idParams,
    response: dropAnswers
  }
  routes.delete('/admin/quarantine/:id', { schema: dropSchema }, async (request, reply) => {
    await node.quarantine.drop(request.params.id)
    return reply.code(204).send()
  })
}
