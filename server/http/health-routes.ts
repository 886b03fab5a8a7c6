import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Node } from '../node.ts'
import { liveAnswers, metricsAnswers, readyAnswers } from './response-schemas.ts'
import { verboseQuery } from './schemas.ts'

/** Health for orchestrators, metrics for Prometheus, and the API's description. */
export function registerHealthRoutes(app: FastifyInstance, node: Node): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  const liveSchema = {
    summary: 'Whether the process runs',
    tags: ['health'],
    querystring: verboseQuery,
    response: liveAnswers
  }
  routes.get('/livez', { schema: liveSchema }, (_request, reply) =>
    reply.type('text/plain').send('ok\n')
  )

  const readySchema = {
    summary: 'Whether the node serves data',
    tags: ['health'],
    querystring: verboseQuery,
    response: readyAnswers
  }
  routes.get('/readyz', { schema: readySchema }, (request, reply) => {
    const checks = node.readiness()
    const ready = checks.every(({ ok }) => ok)
    reply.code(ready ? 200 : 503).type('text/plain')
    if (request.query.verbose === undefined && ready) return reply.send('ok\n')
    const lines = checks.map(({ name, ok, detail }) => `[${ok ? '+' : '-'}] ${name}: ${detail}\n`)
    return reply.send(`${lines.join('')}${ready ? 'ready' : 'not ready'}\n`)
  })

  const metricsSchema = {
    summary: 'Prometheus metrics',
    tags: ['health'],
    response: metricsAnswers
  }
  routes.get('/metrics', { schema: metricsSchema }, async (_request, reply) => {
    const { registry } = node.metrics
    return reply.header('Content-Type', registry.contentType).send(await registry.metrics())
  })

  routes.get('/openapi.json', { schema: { hide: true } }, () => app.swagger())
}
