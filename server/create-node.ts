import { type ClusterKeys, deriveKeys } from '../core/secrets.ts'
import { WorkShare } from '../repair/work-share.ts'
import type { Member } from '../ring/cluster-document.ts'
import type { Replication } from '../ring/ring.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { ArrivalService } from './arrival-service.ts'
import { ClusterState } from './cluster-state.ts'
import type { Config } from './config/schema.ts'
import { type CoordinatorContext, replicasOf } from './coordinator/coordinator-context.ts'
import { GhostCheck } from './coordinator/ghost-check.ts'
import { replicaCount } from './coordinator/quorum.ts'
import { ReadCoordinator } from './coordinator/read-coordinator.ts'
import { createReadRepair } from './coordinator/repair-by-push.ts'
import { WriteCoordinator } from './coordinator/write-coordinator.ts'
import { DataService } from './data-service.ts'
import { createHintedHandoff, type HintedHandoff } from './hinted-handoff.ts'
import { KeyInspection } from './key-inspection.ts'
import { KeyRepair } from './key-repair.ts'
import { KeyWalk } from './key-walk.ts'
import { LocalReplica } from './local-replica.ts'
import { Node, type NodePorts } from './node.ts'
import { describeGauges } from './node-gauges.ts'
import { NodeMetrics } from './node-metrics.ts'
import { type NodeStorage, openNodeStorage } from './node-storage.ts'
import { objectBytesOf } from './object-bytes.ts'
import { openReception } from './open-reception.ts'
import { Peers } from './peer/peers.ts'
import { PeerService } from './peer-service.ts'
import { QuarantineDesk } from './quarantine-desk.ts'
import { EarlyMarks } from './repair/early-marks.ts'
import { ForegroundLatency } from './repair/foreground-latency.ts'
import { describeHealingMetrics } from './repair/healing-metrics.ts'
import { createNodePacer } from './repair/node-pacer.ts'
import { NodeRepair } from './repair/node-repair.ts'
import { describeRepairMetrics } from './repair/repair-metrics.ts'
import { WatermarkAges } from './repair/watermark-ages.ts'
import { createReportExchange } from './report-requests.ts'
import { surveyOf } from './survey.ts'

const processBytes = 16
const percentilesShown = [50, 95, 99]
const documentRow = 'cluster-document'
const lookEveryMsMin = 1000
const lookEveryMsMax = 10_000
const fromAll = { r: 'all', sloppy: false, atLeast: null } as const

/**
 * Opens the storage and listens for peers; `start` then lets it join.
 *
 * Errors: AnnealError where the data directory belongs to another node or cluster, or an address is taken; what the
 * database throws where its files cannot be read. Nothing works on the database then; the caller closes it.
 */
export async function createNode(ports: NodePorts): Promise<Node> {
  const { config } = ports
  const early = new EarlyMarks()
  const metrics = new NodeMetrics()
  const keys = await deriveKeys(config.cluster.name, config.cluster.secret ?? '')
  const storage = await openNodeStorage(ports, { metrics, keys, early })
  try {
    return await assemble(ports, { early, metrics, keys, storage })
  } catch (thrown) {
    await storage.close()
    throw thrown
  }
}

interface OpenedParts {
  readonly early: EarlyMarks
  readonly metrics: NodeMetrics
  readonly keys: ClusterKeys
  readonly storage: NodeStorage
}

async function assemble(
  ports: NodePorts,
  { early, metrics, keys, storage }: OpenedParts
): Promise<Node> {
  const { clock, timers, random, transport, log, config } = ports
  const { node: own, replication: replicas, limits } = config
  const objectBytesMax = objectBytesOf(limits)
  const { partitions, heartbeatMs } = config.cluster
  // Who says seldom that he is up need not look more often what there is to do.
  const lookEveryMs = Math.min(Math.max(heartbeatMs, lookEveryMsMin), lookEveryMsMax)
  // Peers may ask before this node is put together.
  let node: Node | null = null
  const { disk, store, trees, keeper, writesRefused } = storage
  const foreground = new ForegroundLatency(clock)
  const pacer = createNodePacer(ports, storage, foreground)
  const share = new WorkShare({
    clock,
    timers,
    requestsPerSecond: () => foreground.requestsPerSecond
  })
  const replication: Replication =
    replicas.regions === null
      ? { n: replicas.n }
      : { regions: new Map(Object.entries(replicas.regions)) }

  const cluster = new ClusterState(
    {
      self: describeSelf(config),
      ring: { partitions, replication },
      replicas: replicaCount(replication),
      log,
      persist: (document) => store.writeMeta(documentRow, document),
      onChange: () => {
        peers.clusterChanged()
        arriving.watermarks.ringChanged()
      }
    },
    store.readMeta(documentRow)
  )
  const modeOf = ({ bucket }: ObjectKey) => cluster.conflictModeOf(bucket)
  const watermarkAges = new WatermarkAges(clock)
  const arriving = await openReception({
    selfId: own.id,
    store,
    clock,
    timers,
    log,
    ring: () => cluster.ring,
    peers: {
      isUp: (id) => peers.isUp(id),
      request: (...request) => peers.request(...request)
    },
    isReachable: (id) => peers.isUp(id) || peers.awaited.includes(id),
    modeOf,
    checkRows: async (key) => {
      const { partition, leaf } = trees.leafOf(key)
      await keeper.list(partition, leaf)
    },
    onWatermarks: (partitions) => watermarkAges.rose(partitions)
  })
  const handoff: HintedHandoff = await createHintedHandoff({
    selfId: own.id,
    partitions,
    store,
    clock,
    timers,
    random,
    lookEveryMs,
    log,
    settings: config.hints,
    siblingsMax: limits.maxSiblings,
    objectBytesMax,
    modeOf,
    beforeWrite: () => cluster.seal(),
    acceptsWrites: () => writesRefused() === null,
    onRangeMissed: (partition, target) => early.missed(partition, target),
    followDamage: storage.onAsideDamage,
    budget: (bytes) => pacer.pass(bytes, false),
    share,
    rateLeft: () => pacer.rateLeft,
    parts: () => ({ cluster, peers, local })
  })
  const { reception } = arriving
  const local = new LocalReplica({
    store,
    clock,
    siblingsMax: limits.maxSiblings,
    objectBytesMax,
    reception,
    modeOf,
    beforeWrite: () => cluster.seal()
  })
  const peers: Peers = new Peers(
    {
      self: {
        clusterName: config.cluster.name,
        partitions,
        nodeId: own.id,
        release: ports.release,
        process: random.bytes(processBytes)
      },
      listenAddress: own.peer,
      seeds: config.seeds,
      heartbeatMs,
      transport,
      clock,
      timers,
      random,
      log,
      keys,
      handle: (request, origin, respond) => service.handle(request, origin, respond),
      onUp: (id) => void reports.exchangeWith(id),
      acceptsWrites: () => writesRefused() === null
    },
    cluster
  )
  const context: CoordinatorContext = {
    selfId: own.id,
    region: own.region ?? '',
    replication,
    cluster,
    peers,
    local,
    hints: handoff.local,
    elsewhere: handoff.elsewhere,
    clock,
    timers,
    random,
    acceptsWrites: () => writesRefused() === null
  }
  const ghosts = new GhostCheck({
    ...arriving,
    selfId: own.id,
    partitions,
    replicasOf: (key) => replicasOf(context, key)
  })
  const reads = new ReadCoordinator({
    context,
    ghosts,
    repair: createReadRepair(context, metrics),
    policy: config.readRepair,
    onSpeculation: () => metrics.speculations.inc(),
    onStale: (count) => metrics.staleReplicas.inc(count)
  })
  const writes = new WriteCoordinator(context)
  const quarantine = new QuarantineDesk({
    nodeId: own.id,
    quarantine: arriving.quarantine,
    writes,
    clock,
    w: config.replication.w,
    timeoutMs: config.http.defaultTimeoutMs
  })
  const walk = new KeyWalk(context, store, reads)
  const reports = createReportExchange({
    selfId: own.id,
    cluster,
    store,
    peers,
    ...arriving,
    hinted: (incarnations) => handoff.store.ownDotsByPartition(incarnations),
    elsewhere: handoff.elsewhere,
    timers,
    random,
    lookEveryMs
  })
  const arrivals = new ArrivalService({ local, reception, reports })
  const repair = new NodeRepair({
    config,
    clock,
    timers,
    random,
    lookEveryMs,
    log,
    store,
    trees,
    keeper,
    cluster,
    peers,
    local,
    arriving,
    reports,
    handoff,
    pacer,
    share,
    modeOf,
    writesRefused,
    readFromAll: (key) => reads.read(key, { ...fromAll, timeoutMs: config.http.defaultTimeoutMs })
  })
  early.connect({ service: repair.service, watermarks: arriving.watermarks })
  const service = new PeerService({
    arrivals,
    exchanges: repair.answered,
    cluster,
    local,
    hints: handoff.local,
    writes,
    walk,
    log,
    writesRefused,
    metrics,
    foreground,
    survey: () => surveyOf(node)
  })
  const data = new DataService({
    cluster,
    reads,
    writes,
    keys,
    clock,
    limits,
    defaults: { ...config.replication, timeoutMs: config.http.defaultTimeoutMs }
  })
  const inspection = new KeyInspection(context)
  const keyRepair = new KeyRepair({ context, ghosts, metrics })
  describeGauges(metrics, { store, peers, cluster, disk })
  describeRepairMetrics(metrics, { ...repair, nowMs: () => clock.now() })
  describeHealingMetrics(metrics, { repair, handoff, arriving, watermarkAges, cluster })
  // No histogram: recent answers weigh more, so its counts would go down, which Prometheus takes for a restart.
  metrics.labelledGauge(
    'anneal_peer_read_latency_seconds',
    'How long other replicas take to answer a read, the recent answers before all; by percentile',
    'percentile',
    () =>
      percentilesShown.map(
        (p) => [String(p), reads.remoteLatency.percentileMs(p / 100) / 1000] as const
      )
  )
  await peers.listen()
  node = new Node({
    ports,
    store,
    cluster,
    peers,
    data,
    walk,
    inspection,
    keyRepair,
    watermarkAges,
    disk,
    metrics,
    arriving,
    quarantine,
    reports,
    handoff,
    repair,
    foreground,
    failure: storage.failure
  })
  return node
}

function describeSelf({
  node,
  replication
}: Config): Omit<Member, 'version' | 'state' | 'joinedAt' | 'removedAt'> {
  return {
    id: node.id,
    http: node.advertiseHttp ?? node.http,
    peer: node.advertisePeer ?? node.peer,
    zone: node.zone ?? '',
    region: node.region ?? (replication.regions === null ? '' : 'default'),
    weight: node.weight
  }
}
