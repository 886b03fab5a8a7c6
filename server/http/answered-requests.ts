import type { FastifyInstance, FastifyRequest } from 'fastify'
import { LatencyHistogram } from '../../core/latency-histogram.ts'
import type { Node } from '../node.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** When the head of the request had arrived, on the monotonic clock. */
    arrivedMs: number
  }
}

const dataPrefix = '/kv/'

export function isData(url: string): boolean {
  return url.startsWith(dataPrefix)
}

/**
 * Counts the requests that are answered, and how long each operation on data takes, until its answer goes out. When the
 * last of it has left would take listeners on every answer to tell, which cost more than all of this.
 */
export class AnsweredRequests {
  readonly #node: Node
  readonly #latencies = new Map<string, LatencyHistogram>()

  constructor(app: FastifyInstance, node: Node) {
    this.#node = node
    // A field that every request has from the start costs nothing to set.
    app.decorateRequest('arrivedMs', 0)
    node.metrics.durations(
      'anneal_http_request_duration_seconds',
      'How long data requests take',
      'operation',
      this.#latencies
    )
  }

  get latencies(): ReadonlyMap<string, LatencyHistogram> {
    return this.#latencies
  }

  begun(request: FastifyRequest): void {
    request.arrivedMs = performance.now()
  }

  /** To be called once for each request, when its answer goes out. */
  answered(request: FastifyRequest, status: number): void {
    const { metrics, foreground } = this.#node
    const operation = isData(request.url) ? operationOf(request.method) : 'other'
    metrics.countResponse(operation, status)
    if (operation === 'other') return
    const durationMs = performance.now() - request.arrivedMs
    this.#histogramOf(operation).observe(durationMs)
    if (isOneKey(request.url) && status < 500) foreground.observe(durationMs)
  }

  #histogramOf(operation: string): LatencyHistogram {
    const known = this.#latencies.get(operation)
    if (known !== undefined) return known
    const histogram = new LatencyHistogram()
    this.#latencies.set(operation, histogram)
    return histogram
  }
}

/** Lists and batches take as long as they are large, which says nothing about how disturbed the users are. */
function isOneKey(url: string): boolean {
  return url.indexOf('/', dataPrefix.length) > 0
}

function operationOf(method: string): string {
  return method === 'GET' ||
    method === 'HEAD' ||
    method === 'PUT' ||
    method === 'DELETE' ||
    method === 'POST'
    ? method.toLowerCase()
    : 'other'
}
