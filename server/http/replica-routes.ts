import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Node } from '../node.ts'
import { hintsReport } from '../repair/hints-report.ts'
import { treesReport } from '../repair/trees-report.ts'
import { hintsAnswers, treesAnswers, treesQuery } from './repair-schemas.ts'

/** `/admin/hints` and `/admin/trees`: what this node keeps for others, and what it compares with them. */
export function registerReplicaRoutes(app: FastifyInstance, node: Node): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const tags = ['admin']

  const hintsSchema = {
    summary: 'What waits here for nodes that could not be reached',
    tags,
    response: hintsAnswers
  }
  routes.get('/admin/hints', { schema: hintsSchema }, () => hintsReport(node.repair.hints))

  const flushSchema = {
    summary: 'Hand over now what waits for nodes that can be reached; answers what is left',
    tags,
    response: hintsAnswers
  }
  routes.post('/admin/hints/flush', { schema: flushSchema }, async () => {
    await node.repair.hints.flush()
    return hintsReport(node.repair.hints)
  })

  const treesSchema = {
    summary: 'The hash trees of the partitions of this node',
    tags,
    querystring: treesQuery,
    response: treesAnswers
  }
  routes.get('/admin/trees', { schema: treesSchema }, (request) =>
    treesReport(node.repair.trees, request.query.verify === true)
  )
}
