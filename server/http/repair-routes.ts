import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Node } from '../node.ts'
import { backgroundReport, repairReport, runReport } from '../repair/repair-report.ts'
import { watermarkReport } from '../repair/watermark-report.ts'
import {
  backgroundAnswers,
  repairAnswers,
  repairBody,
  repairStartAnswers,
  runAnswers,
  runParams
} from './repair-schemas.ts'

/** `/admin/repair`: what repair does on this node, and repairs on demand. */
export function registerRepairRoutes(app: FastifyInstance, node: Node): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const { service, pacer } = node.repair
  const tags = ['admin']

  const listSchema = {
    summary: 'Repair, by partition and peer',
    tags,
    response: repairAnswers
  }
  routes.get('/admin/repair', { schema: listSchema }, () => ({
    ...repairReport(service, pacer, node.clock.now()),
    watermarks: watermarkReport(node)
  }))

  const startSchema = {
    summary: 'Compare and repair all that this node shares with reachable members',
    tags,
    body: repairBody,
    response: repairStartAnswers
  }
  routes.post(
    '/admin/repair',
    {
      schema: startSchema,
      // Without a body everything is as it is by default.
      preValidation: (request, _reply, done) => {
        request.body ??= {}
        done()
      }
    },
    (request, reply) => {
      const { mode = 'incremental', dryRun = false, partitions = null } = request.body
      const { id } = service.runs.start({ mode, dryRun, partitions })
      return reply.code(202).send({ id })
    }
  )

  const runSchema = {
    summary: 'How far a repair is',
    tags,
    params: runParams,
    response: runAnswers
  }
  routes.get('/admin/repair/:id', { schema: runSchema }, (request) =>
    runReport(service.runs.status(request.params.id), pacer.pace)
  )

  const cancelSchema = {
    summary: 'Cancel a repair: nothing is written on its behalf any more',
    tags,
    params: runParams,
    response: runAnswers
  }
  routes.delete('/admin/repair/:id', { schema: cancelSchema }, (request) =>
    runReport(service.runs.cancel(request.params.id), pacer.pace)
  )

  const pauseSchema = {
    summary: 'Pause background repair on this node, until it is resumed',
    tags,
    response: backgroundAnswers
  }
  routes.post('/admin/repair/pause', { schema: pauseSchema }, async () => {
    await service.pause()
    return backgroundReport(service, pacer)
  })

  const resumeSchema = {
    summary: 'Let background repair go on',
    tags,
    response: backgroundAnswers
  }
  routes.post('/admin/repair/resume', { schema: resumeSchema }, async () => {
    await service.resume()
    return backgroundReport(service, pacer)
  })
}
