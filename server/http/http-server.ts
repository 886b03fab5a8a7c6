import fastifySwagger from '@fastify/swagger'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { AnnealError } from '../../core/errors.ts'
import { formatAddress, parseAddress } from '../address.ts'
import { tokenCharactersMax } from '../context-token.ts'
import { registerEventRoutes } from '../dashboard/event-routes.ts'
import { registerPageRoutes } from '../dashboard/page-routes.ts'
import type { Node } from '../node.ts'
import { registerAdminRoutes } from './admin-routes.ts'
import { Admission } from './admission.ts'
import { AnsweredRequests, isData } from './answered-requests.ts'
import { registerBatchRoute } from './batch-routes.ts'
import { parseJsonBodies } from './body-parsers.ts'
import { answerBrokenRequest } from './broken-request.ts'
import { registerBucketRoutes } from './bucket-routes.ts'
import { registerHealthRoutes } from './health-routes.ts'
import { KnownRoutes } from './known-routes.ts'
import { registerKvRoutes } from './kv-routes.ts'
import { sendProblem, toAnnealError } from './problem.ts'
import { registerQuarantineRoutes } from './quarantine-routes.ts'
import { registerRepairRoutes } from './repair-routes.ts'
import { registerReplicaRoutes } from './replica-routes.ts'
import { compileRequestValidator } from './request-validator.ts'
import { stalledSocketMs } from './socket-patience.ts'
import { discardRest } from './unread-body.ts'

export interface HttpServer {
  /** The address that is really listened on. */
  readonly address: string
  /** Stops accepting, lets what is in progress finish for at most `drainMs`, then cuts off what is left. */
  close(drainMs: number): Promise<void>
}

const headersTimeoutMs = 10_000
// How often requests that arrive too slowly are looked for; Node.js would do so every 30 seconds.
const slowCheckMs = 1000
const keepAliveTimeoutMs = 75_000
const otherHeadersBytes = 16 * 1024

/**
 * Serves a node over HTTP.
 *
 * Errors: AnnealError where the address cannot be listened on, naming it.
 */
export async function startHttpServer(node: Node): Promise<HttpServer> {
  const { config } = node
  const admission = new Admission(config.limits, () => node.metrics.rejected.inc())
  const app = createApp(node)
  const routes = new KnownRoutes()
  routes.watch(app)
  parseJsonBodies(app)
  await app.register(fastifySwagger, { openapi: describeApi(node) })
  const answered = new AnsweredRequests(app, node)
  observe(app, node, admission, answered, routes)
  await app.register((kv, _options, done) => {
    registerKvRoutes(kv, { node, admission, answered })
    done()
  })
  registerBatchRoute(app, node, admission)
  registerBucketRoutes(app, node)
  registerAdminRoutes(app, node)
  registerQuarantineRoutes(app, node)
  registerRepairRoutes(app, node)
  registerReplicaRoutes(app, node)
  registerHealthRoutes(app, node)
  registerEventRoutes(app, node, answered.latencies)
  registerPageRoutes(app)
  // Node.js would answer by itself, without a body.
  app.server.on('checkExpectation', app.routing)
  app.server.maxConnections = config.limits.maxConnections
  const address = await listen(app, config.node.http)
  return { address, close: (drainMs) => close(app, drainMs) }
}

function createApp(node: Node): FastifyInstance {
  const { config } = node
  const { limits, http } = config
  const encodedKeyBytes = limits.maxKeyBytes * 3
  const app = Fastify({
    logger: false,
    bodyLimit: limits.maxValueBytes,
    requestTimeout: http.requestTimeoutMs,
    connectionTimeout: stalledSocketMs + http.defaultTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    routerOptions: { maxParamLength: encodedKeyBytes * 4 },
    genReqId: requestIds(node.id),
    clientErrorHandler: answerBrokenRequest,
    http: {
      // Node.js would answer without a body; `checkHead` says what is wrong.
      requireHostHeader: false,
      headersTimeout: Math.min(headersTimeoutMs, http.requestTimeoutMs),
      connectionsCheckingInterval: Math.min(slowCheckMs, http.requestTimeoutMs),
      maxHeaderSize: 2 * encodedKeyBytes + tokenCharactersMax + otherHeadersBytes
    },
    frameworkErrors: (error, request, reply) => {
      answerHeaders(node, request, reply)
      void sendProblem(reply, toAnnealError(error, limits), node.metrics)
    }
  })
  app.setValidatorCompiler(compileRequestValidator)
  // The schemas of answers are for the API's description; answers go out as they are.
  app.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  app.setErrorHandler((thrown, request, reply) => {
    const error = toAnnealError(thrown, limits)
    if (!node.isStopping) discardRest(request, reply)
    if (error.code === 'internal') {
      node.log.error(
        { requestId: request.id, method: request.method, url: request.url, error: thrown },
        'a request failed'
      )
    }
    return sendProblem(reply, error, node.metrics)
  })
  return app
}

function describeApi(node: Node) {
  return {
    info: {
      title: 'Anneal',
      version: node.release,
      description:
        'A replicated key-value store. Every node answers for the whole cluster; every answer has a Request-Id and the X-Coordinator, and every error is a problem (RFC 9457).'
    },
    tags: [
      { name: 'data', description: 'Keys and their values' },
      { name: 'buckets', description: 'What holds for all keys of a bucket' },
      { name: 'admin', description: 'What an operator asks of a node' },
      { name: 'health', description: 'For orchestrators and monitoring' }
    ]
  }
}

/** What every request has: readiness, a place in the queue, an id, and a count. */
function observe(
  app: FastifyInstance,
  node: Node,
  admission: Admission,
  answered: AnsweredRequests,
  routes: KnownRoutes
): void {
  const { metrics } = node
  metrics.gauge(
    'anneal_http_requests_in_flight',
    'Data requests in progress',
    () => admission.requestsInFlight
  )
  metrics.gauge(
    'anneal_http_bytes_in_flight',
    'Bytes of bodies and large answers held',
    () => admission.bytesInFlight
  )

  app.addHook('onRequest', (request, reply, done) => {
    answered.begun(request)
    try {
      checkHead(request)
      // Before the body is looked at, which nobody will take.
      if (request.is404) return done(explainRefusal(routes, request, reply))
      if (isData(request.url)) checkReady(node)
      admission.admitBody(request)
      done()
    } catch (thrown) {
      done(AnnealError.from(thrown))
    }
  })
  // Not once the answer has gone out: where the client has left, it never does.
  app.addHook('onSend', (request, reply, payload, done) => {
    answerHeaders(node, request, reply)
    admission.releaseBody(request)
    answered.answered(request, reply.statusCode)
    done(null, payload)
  })
}

/** Errors: `bad_request` for what HTTP does not allow, or this server does not do. */
function checkHead({ raw }: FastifyRequest): void {
  const { host, expect } = raw.headers
  if (host === undefined && raw.httpVersion === '1.1') {
    throw new AnnealError('bad_request', 'the request has no Host header, which HTTP/1.1 asks for')
  }
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') {
    throw new AnnealError('expectation_failed', 'Expect is 100-continue or nothing on this server')
  }
}

function explainRefusal(
  routes: KnownRoutes,
  { method, url }: FastifyRequest,
  reply: FastifyReply
): AnnealError {
  const { error, allow } = routes.explain(method, url)
  if (allow !== '') reply.header('Allow', allow)
  return error
}

function answerHeaders(
  node: Node,
  request: FastifyRequest,
  reply: { header(name: string, value: string): unknown; hasHeader(name: string): boolean }
): void {
  reply.header('Request-Id', request.id)
  // A write names the node that it was passed on to.
  if (!reply.hasHeader('X-Coordinator')) reply.header('X-Coordinator', node.id)
  if (node.isStopping) reply.header('Connection', 'close')
}

function checkReady(node: Node): void {
  if (node.servesData) return
  const missing = node.readiness().filter(({ ok, name }) => !ok && name !== 'running')
  if (missing.length === 0) return
  const why = missing.map(({ name, detail }) => `${name}: ${detail}`).join('; ')
  throw new AnnealError(
    'not_ready',
    `node ${node.id} does not serve data yet (${why}); try again in a second, or another node`
  )
}

const requestIdPattern = /^[\x21-\x7e]{1,64}$/

/** The client's own id where it sends one that is fit to be logged, otherwise one of ours. */
function requestIds(nodeId: string): (request: { headers: Record<string, unknown> }) => string {
  const prefix = `${nodeId}-${Date.now().toString(36)}-`
  let count = 0
  return ({ headers }) => {
    const own = headers['request-id'] ?? headers['x-request-id']
    if (typeof own === 'string' && requestIdPattern.test(own)) return own
    return prefix + (count++).toString(36)
  }
}

async function listen(app: FastifyInstance, address: string): Promise<string> {
  const { host, port } = parseAddress(address)
  try {
    await app.listen({ host, port, backlog: 4096 })
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : ''
    const why =
      code === 'EADDRINUSE'
        ? 'the address is in use by another process'
        : AnnealError.from(thrown).message
    throw new AnnealError('internal', `cannot listen for HTTP on ${address}: ${why}`, {}, thrown)
  }
  const bound = app.server.address()
  const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port
  return formatAddress({ host, port: boundPort })
}

async function close(app: FastifyInstance, drainMs: number): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), drainMs)
  try {
    await app.close()
  } finally {
    clearTimeout(timer)
  }
}
