import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import type { Node } from '../node.ts'
import { summarizeHints } from '../repair/hints-report.ts'
import { statusReport } from '../repair/repair-report.ts'
import { keyAnswers, keyRepairAnswers, ringAnswers, statusAnswers } from './response-schemas.ts'
import { keyParams, localQuery } from './schemas.ts'

/** `/admin`: what an operator asks of a node. */
export function registerAdminRoutes(app: FastifyInstance, node: Node): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>()

  const statusSchema = {
    summary: 'This node, and the cluster as it sees it',
    tags: ['admin'],
    response: statusAnswers
  }
  routes.get('/admin/status', { schema: statusSchema }, () => describeStatus(node))

  const ringSchema = {
    summary: 'Partitions and their replicas',
    tags: ['admin'],
    response: ringAnswers
  }
  routes.get('/admin/ring', { schema: ringSchema }, () => {
    const { ring } = node.cluster
    const partitions = Array.from({ length: ring.partitions }, (_, id) => ({
      id,
      replicas: ring.replicas(id),
      pending: []
    }))
    return { epoch: ring.epoch, partitions }
  })

  const keySchema = {
    summary: 'What every replica holds for a key',
    tags: ['admin'],
    params: keyParams,
    querystring: localQuery,
    response: keyAnswers
  }
  routes.get('/admin/keys/:bucket/:key', { schema: keySchema }, (request) => {
    const bucket = node.data.checkName('bucket', request.params.bucket)
    const key = node.data.checkName('key', request.params.key)
    return node.inspection.inspect(bucket, key, request.query.local === true)
  })

  const keyRepairSchema = {
    summary: 'Bring the replicas of one key together; answers what each holds afterwards',
    tags: ['admin'],
    params: keyParams,
    response: keyRepairAnswers
  }
  routes.post('/admin/keys/:bucket/:key/repair', { schema: keyRepairSchema }, async (request) => {
    const bucket = node.data.checkName('bucket', request.params.bucket)
    const key = node.data.checkName('key', request.params.key)
    await node.keyRepair.repair(bucket, key)
    return node.inspection.inspect(bucket, key, false)
  })
}

export function describeStatus(node: Node) {
  const { cluster, peers, config, release, repair, clock } = node
  const members = [...cluster.document.members.values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, http, peer, zone, region, weight, state: memberState }) => ({
      id,
      http,
      peer,
      zone,
      region,
      weight,
      state: memberState,
      up: id === node.id || peers.isUp(id)
    }))
  return {
    node: {
      id: node.id,
      version: release,
      state: node.state,
      uptimeSeconds: Math.floor(node.uptimeMs / 1000)
    },
    cluster: {
      name: config.cluster.name,
      epoch: cluster.ring.epoch,
      partitions: cluster.ring.partitions,
      members
    },
    hints: summarizeHints(repair.hints),
    repair: statusReport(repair.service, repair.pacer, clock.now())
  }
}
