import { statfs } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { collectDefaultMetrics } from 'prom-client'
import { AnnealError } from '../core/errors.ts'
import { messageBytesMax } from '../core/limits.ts'
import type { Log } from '../core/ports.ts'
import { areFilesDamaged } from '../storage/damage.ts'
import type { Database } from '../storage/database.ts'
import { explainFirstReads } from '../storage/level.ts'
import { diedMerging } from '../storage/level-salvage.ts'
import { parseAddress } from './address.ts'
import { packageVersion } from './cli/package-root.ts'
import type { Config } from './config/schema.ts'
import { createNode } from './create-node.ts'
import { limitHeap } from './heap-limits.ts'
import { lowerHelperThreads } from './helper-threads.ts'
import { type HttpServer, startHttpServer } from './http/http-server.ts'
import { createLog, rateLimitedLog } from './log.ts'
import type { Node, NodePorts } from './node.ts'
import { NodeDatabase } from './node-database.ts'
import { leaveOpeningMark, removeOpeningMark } from './opening-mark.ts'
import { createGrpcTransport } from './peer/grpc-transport.ts'
import { systemClock, systemRandom, systemTimers } from './system-ports.ts'

const keepaliveMs = 5000
const noticeFraction = 0.1
const eventLinesPerMinute = 60
// A disk that goes on losing what was written to it is none that a node can be trusted to.
const salvagesMax = 3
// One may have been killed by somebody.
const endsSuspected = 2
// What LevelDB does by itself after it was opened is done by then.
const openedWellMs = 15_000

// Gauges that are called totals, which Prometheus' own linter refuses; the figures are sums of others that stay.
const misnamed = ['handles', 'requests', 'resources'].map(
  (what) => `anneal_nodejs_active_${what}_total`
)

/**
 * Runs one node in this process until SIGTERM or SIGINT, or until its storage fails. Resolves after a clean stop.
 *
 * Errors: AnnealError where the node cannot start: its data directory, its addresses, its settings.
 */
export async function runNode(config: Config): Promise<void> {
  // Otherwise every few MiB of buffers, which one large value takes, cost a collection of the whole heap.
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  const lines = createLog({
    level: config.log.level,
    pretty: config.log.pretty,
    node: config.node.id
  })
  const log = rateLimitedLog(lines, systemClock, eventLinesPerMinute)
  limitHeap()
  lowerHelperThreads()
  const stopping = untilStopped(log)
  const mark = join(config.node.data, 'opening')
  const database = new NodeDatabase(config.node.data, config.storage, log)
  const { directory } = database
  const last = await leaveOpeningMark(mark, () => diedMerging(directory))
  if (last.wasEnded) log.warn({ directory }, diedOpening)
  const eventLoopDelayMs = watchEventLoop()
  const running = { log, database, stopping, eventLoopDelayMs, onServing: () => removeLater(mark) }
  try {
    if (last.timesMerging >= endsSuspected) await database.tryOut(stopping.signal)
    for (let salvages = 0; ; salvages++) {
      const isSalvaged = await database.settle(stopping.signal)
      const damage = await runUntilStopped(config, running, isSalvaged)
      if (damage === null) return
      if (salvages === salvagesMax) throw damage
      await database.condemn(damage)
    }
  } catch (thrown) {
    // A salvage goes on with the next start.
    if (!stopping.signal.aborted || thrown !== stopping.signal.reason) throw thrown
  } finally {
    await removeOpeningMark(mark)
  }
}

const diedOpening =
  'the last process of this node ended without a word while it opened its database, or shortly after; after two in a row the node tries its files out, and salvages the database if they are damaged; if it ends again all the same, move the directory away and start again, and the node comes back empty and takes its data from the other replicas'

function removeLater(mark: string): void {
  void setTimeout(openedWellMs, null, { ref: false }).then(() => removeOpeningMark(mark))
}

interface Running {
  readonly log: Log
  readonly database: NodeDatabase
  readonly stopping: Stopping
  readonly eventLoopDelayMs: () => number
  readonly onServing: () => void
}

/** Resolves with null after a stop, and with what was met where files of the database are damaged; all is closed then. */
async function runUntilStopped(
  config: Config,
  running: Running,
  isSalvaged: boolean
): Promise<AnnealError | null> {
  const { database, stopping } = running
  let opened: Database | null = null
  try {
    opened = await database.open()
    return await serve(config, running, { database: opened, isSalvaged })
  } catch (thrown) {
    await opened?.close().catch(() => {})
    const explained = explainFirstReads(database.directory, thrown)
    if (areFilesDamaged(explained) && !stopping.signal.aborted) return AnnealError.from(explained)
    throw explained
  }
}

/** Errors: what is met where the node cannot start. */
async function serve(
  config: Config,
  { log, stopping, eventLoopDelayMs, onServing }: Running,
  opened: Pick<NodePorts, 'database' | 'isSalvaged'>
): Promise<AnnealError | null> {
  const settled = withAdvertisedAddresses(config)
  const ended = Promise.withResolvers<AnnealError | null>()
  stopping.signal.addEventListener('abort', () => ended.resolve(null))
  if (stopping.signal.aborted) ended.resolve(null)
  const node = await createNode({
    ...opened,
    clock: systemClock,
    timers: systemTimers,
    random: systemRandom,
    transport: createGrpcTransport({ messageBytesMax, keepaliveMs }),
    log,
    config: settled,
    release: packageVersion,
    readDisk: () => readDisk(config.node.data),
    eventLoopDelayMs,
    onFailure: (error) => {
      if (areFilesDamaged(error)) return ended.resolve(error)
      log.error({ reason: error.message }, 'the node stops')
      process.exitCode = 1
      stopping.stop('storage failure')
    }
  })
  collectDefaultMetrics({ register: node.metrics.registry, prefix: 'anneal_' })
  for (const name of misnamed) node.metrics.registry.removeSingleMetric(name)
  let http: HttpServer
  try {
    http = await startHttpServer(node)
    await node.start()
  } catch (thrown) {
    await node.stop()
    throw thrown
  }
  log.info(
    {
      http: http.address,
      peer: settled.node.peer,
      data: config.node.data,
      release: packageVersion
    },
    'serving'
  )
  onServing()
  const damage = await ended.promise
  await stop(node, http, config.http.drainMs)
  log.info({}, 'stopped')
  return stopping.signal.aborted ? null : damage
}

/**
 * Not ready first, with time for load balancers to notice while everything is still served; then the requests in
 * progress, then the peers, then the mark of a clean stop.
 */
async function stop(node: Node, http: HttpServer, drainMs: number): Promise<void> {
  node.beginStop()
  const noticeMs = drainMs * noticeFraction
  await setTimeout(noticeMs)
  await http.close(drainMs - noticeMs)
  await node.stop()
}

interface Stopping {
  /** Aborted once the process is to stop. */
  readonly signal: AbortSignal
  stop(reason: string): void
}

function untilStopped(log: Log): Stopping {
  const requested = new AbortController()
  const stop = (reason: string) => {
    log.info({ reason }, 'stopping')
    requested.abort()
  }
  // Further signals change nothing: the stop is under way and bounded in time.
  process.once('SIGTERM', () => stop('SIGTERM'))
  process.once('SIGINT', () => stop('SIGINT'))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => {})
  return { signal: requested.signal, stop }
}

/** Nobody can connect to a wildcard address: where one is listened on, others are told the name of this machine. */
function withAdvertisedAddresses(config: Config): Config {
  const { node } = config
  return {
    ...config,
    node: {
      ...node,
      advertiseHttp: node.advertiseHttp ?? reachable(node.http),
      advertisePeer: node.advertisePeer ?? reachable(node.peer)
    }
  }
}

function reachable(address: string): string {
  const { host, port } = parseAddress(address)
  return host === '0.0.0.0' || host === '::' ? `${hostname()}:${port}` : address
}

/** Each call answers for the time since the one before. */
function watchEventLoop(): () => number {
  const resolutionMs = 10
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  histogram.enable()
  return () => {
    const delayMs = histogram.count === 0 ? 0 : histogram.percentile(99) / 1e6 - resolutionMs
    histogram.reset()
    return Math.max(0, delayMs)
  }
}

async function readDisk(directory: string) {
  const { bavail, blocks, bsize } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}
