import type { FastifyInstance } from 'fastify'
import type { LatencyHistogram } from '../../core/latency-histogram.ts'
import type { Node } from '../node.ts'
import { DashboardState } from './dashboard-state.ts'
import { EventFeed } from './event-feed.ts'
import { eventAnswers } from './event-schemas.ts'

/** More dashboards than this at one node are refused: each holds a connection and is written to every second. */
export const eventListenersMax = 32
const intervalMs = 1000

/** `GET /admin/events`: what the dashboard shows, as it changes. */
export function registerEventRoutes(
  app: FastifyInstance,
  node: Node,
  latencies: ReadonlyMap<string, LatencyHistogram>
): void {
  const state = new DashboardState(node, latencies)
  const feed = new EventFeed({
    read: state.read,
    onAwake: () => state.restart(),
    isStopping: () => node.isStopping,
    listenersMax: eventListenersMax,
    intervalMs
  })
  app.addHook('preClose', (done) => {
    feed.close()
    done()
  })
  const schema = {
    summary: 'What the dashboard shows, as it changes: server-sent events',
    tags: ['admin'],
    response: eventAnswers
  }
  app.get('/admin/events', { schema, exposeHeadRoute: false }, (request, reply) => {
    feed.checkRoom()
    const { raw } = reply
    reply.hijack()
    raw.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-coordinator': node.id,
      'request-id': request.id
    })
    feed.add(raw)
  })
}
