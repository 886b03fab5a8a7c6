import { AnnealError } from '../core/errors.ts'
import type { Clock, Log, RandomSource, TimerHandle, Timers, Transport } from '../core/ports.ts'
import { deriveKeys } from '../core/secrets.ts'
import type { Member } from '../ring/cluster-document.ts'
import type { Replication } from '../ring/ring.ts'
import type { Database } from '../storage/database.ts'
import { Store } from '../storage/store.ts'
import { ClusterState } from './cluster-state.ts'
import type { Config } from './config/schema.ts'
import type { CoordinatorContext } from './coordinator/coordinator-context.ts'
import { replicaCount } from './coordinator/quorum.ts'
import { ReadCoordinator } from './coordinator/read-coordinator.ts'
import { createReadRepair } from './coordinator/repair-by-push.ts'
import { WriteCoordinator } from './coordinator/write-coordinator.ts'
import { DataService } from './data-service.ts'
import { type DiskSpace, DiskWatch } from './disk-watch.ts'
import { KeyInspection } from './key-inspection.ts'
import { KeyWalk } from './key-walk.ts'
import { LocalReplica } from './local-replica.ts'
import { describeGauges } from './node-gauges.ts'
import { NodeMetrics } from './node-metrics.ts'
import { Peers } from './peer/peers.ts'
import { PeerService } from './peer-service.ts'

/** Everything that a node needs from the world. */
export interface NodePorts {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  readonly transport: Transport
  readonly database: Database
  readonly log: Log
  readonly config: Config
  /** The release of the software, for people. */
  readonly release: string
  /** Null where there is no disk to watch. */
  readonly readDisk: (() => Promise<DiskSpace>) | null
  /** The node cannot go on: its storage has failed. */
  readonly onFailure: (error: AnnealError) => void
}

/** One condition of being ready. */
export interface ReadinessCheck {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

const pendingBytesMax = 32 * 1024 * 1024
const aloneAfterMs = 1500
const processBytes = 16
const quantilesShown = [0.5, 0.95, 0.99]
const identityRow = 'cluster-identity'
const documentRow = 'cluster-document'

/** One node: a function of its ports. Production and the simulator build the same one. */
export class Node {
  readonly config: Config
  readonly release: string
  readonly metrics: NodeMetrics
  readonly cluster: ClusterState
  readonly peers: Peers
  readonly data: DataService
  readonly walk: KeyWalk
  readonly inspection: KeyInspection
  readonly clock: Clock
  readonly log: Log
  readonly store: Store
  readonly #disk: DiskWatch | null
  readonly #timers: Timers
  readonly #startedMs: number
  readonly #failure: () => AnnealError | null
  #announceTimer: TimerHandle | null = null
  #stopping = false

  constructor(parts: NodeParts) {
    const { ports, store, cluster, peers, data, walk, inspection, disk, metrics } = parts
    this.config = ports.config
    this.release = ports.release
    this.clock = ports.clock
    this.log = ports.log
    this.metrics = metrics
    this.store = store
    this.cluster = cluster
    this.peers = peers
    this.data = data
    this.walk = walk
    this.inspection = inspection
    this.#disk = disk
    this.#timers = ports.timers
    this.#startedMs = ports.clock.monotonic()
    this.#failure = parts.failure
  }

  get id(): string {
    return this.config.node.id
  }

  get uptimeMs(): number {
    return this.clock.monotonic() - this.#startedMs
  }

  get isStopping(): boolean {
    return this.#stopping
  }

  /** Dials, and becomes a member: at once where nobody else is known of, otherwise after hearing what there is. */
  async start(): Promise<void> {
    await this.#disk?.start()
    const others = this.config.seeds.length > 0 || this.cluster.document.members.size > 1
    if (!others || this.cluster.self !== undefined) this.cluster.announceSelf()
    else this.#announceTimer = this.#timers.set(() => this.cluster.announceSelf(), aloneAfterMs)
    this.peers.start()
  }

  /** What has to hold before the node serves data. */
  readiness(): readonly ReadinessCheck[] {
    const { expectedNodes } = this.config.cluster
    const members = this.cluster.ring.memberIds.length
    const failure = this.#failure()
    const self = this.cluster.self
    const { awaited } = this.peers
    return [
      { name: 'storage', ok: failure === null, detail: failure?.message ?? 'open' },
      {
        name: 'members',
        ok: members >= Math.max(1, expectedNodes),
        detail: `${members} known, ${Math.max(1, expectedNodes)} expected`
      },
      {
        name: 'membership',
        ok: self !== undefined && self.state !== 'removed',
        detail: self?.state ?? 'not announced yet'
      },
      {
        name: 'peers',
        ok: awaited.length === 0,
        detail: awaited.length === 0 ? 'linked' : `waiting for ${awaited.join(', ')}`
      },
      { name: 'running', ok: !this.#stopping, detail: this.#stopping ? 'stopping' : 'running' }
    ]
  }

  get isReady(): boolean {
    return this.servesData && !this.#stopping && this.peers.awaited.length === 0
  }

  /** As `readiness`, but for being about to stop, asked at every request. */
  get servesData(): boolean {
    const expected = Math.max(1, this.config.cluster.expectedNodes)
    const self = this.cluster.self
    return (
      this.#failure() === null &&
      this.cluster.ring.memberIds.length >= expected &&
      self !== undefined &&
      self.state !== 'removed'
    )
  }

  /** From now on not ready, so that nobody sends anything new; what is in progress goes on. */
  beginStop(): void {
    this.#stopping = true
  }

  /** Stops for good, leaving the mark of a clean stop. */
  async stop(): Promise<void> {
    this.#stopping = true
    if (this.#announceTimer !== null) this.#timers.clear(this.#announceTimer)
    this.#disk?.close()
    await this.peers.close()
    await this.store.close()
  }
}

interface NodeParts {
  readonly ports: NodePorts
  readonly store: Store
  readonly cluster: ClusterState
  readonly peers: Peers
  readonly data: DataService
  readonly walk: KeyWalk
  readonly inspection: KeyInspection
  readonly disk: DiskWatch | null
  readonly metrics: NodeMetrics
  readonly failure: () => AnnealError | null
}

/**
 * Opens the storage and listens for peers; `start` then lets it join.
 *
 * Errors: AnnealError where the data directory belongs to another node or cluster, or an address is taken.
 */
export async function createNode(ports: NodePorts): Promise<Node> {
  const { clock, timers, random, transport, log, config } = ports
  const { node: own, replication: replicas, limits } = config
  const metrics = new NodeMetrics()
  let failure: AnnealError | null = null
  const disk =
    ports.readDisk &&
    new DiskWatch({
      read: ports.readDisk,
      timers,
      log,
      minFreeBytes: limits.minFreeDiskBytes,
      nodeId: own.id,
      pendingBytes: () => store.pendingBytes
    })
  const store: Store = await openStore(ports, metrics, {
    onWritten: (bytes) => disk?.noteWritten(bytes),
    onFailure: (error) => {
      failure = error
      ports.onFailure(error)
    }
  })
  await checkIdentity(store, config)
  const replication: Replication =
    replicas.regions === null
      ? { n: replicas.n }
      : { regions: new Map(Object.entries(replicas.regions)) }
  const keys = await deriveKeys(config.cluster.name, config.cluster.secret ?? '')

  const cluster = new ClusterState(
    {
      self: describeSelf(config),
      ring: { partitions: config.cluster.partitions, replication },
      replicas: replicaCount(replication),
      log,
      persist: (document) => store.writeMeta(documentRow, document),
      onChange: () => peers.clusterChanged()
    },
    store.readMeta(documentRow)
  )
  const writesRefused = () => failure ?? disk?.refusal ?? null
  const local = new LocalReplica({
    store,
    clock,
    siblingsMax: limits.maxSiblings,
    modeOf: ({ bucket }) => cluster.propertiesOf(Buffer.from(bucket).toString()).conflict,
    beforeWrite: () => cluster.seal()
  })
  const peers: Peers = new Peers(
    {
      self: {
        clusterName: config.cluster.name,
        partitions: config.cluster.partitions,
        nodeId: own.id,
        release: ports.release,
        process: random.bytes(processBytes)
      },
      listenAddress: own.peer,
      seeds: config.seeds,
      heartbeatMs: config.cluster.heartbeatMs,
      transport,
      clock,
      timers,
      random,
      log,
      keys,
      handle: (request, origin, respond) => service.handle(request, origin, respond),
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
    clock,
    timers,
    random,
    acceptsWrites: () => writesRefused() === null
  }
  const reads = new ReadCoordinator({
    context,
    repair: createReadRepair(context, metrics),
    policy: config.readRepair,
    onSpeculation: () => metrics.speculations.inc(),
    onStale: (count) => metrics.staleReplicas.inc(count)
  })
  const writes = new WriteCoordinator(context)
  const walk = new KeyWalk(context, store, reads)
  const service = new PeerService({ cluster, local, writes, walk, log, writesRefused, metrics })
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
  describeGauges(metrics, { store, peers, cluster, disk })
  // No histogram: recent answers weigh more, so its counts would go down, which Prometheus takes for a restart.
  metrics.labelledGauge(
    'anneal_peer_read_latency_seconds',
    'How long other replicas take to answer a read, the recent answers before all; by quantile',
    'quantile',
    () =>
      quantilesShown.map((q) => [String(q), reads.remoteLatency.percentileMs(q) / 1000] as const)
  )
  await listen(peers, store)
  return new Node({
    ports,
    store,
    cluster,
    peers,
    data,
    walk,
    inspection,
    disk,
    metrics,
    failure: () => failure
  })
}

async function listen(peers: Peers, store: Store): Promise<void> {
  try {
    await peers.listen()
  } catch (thrown) {
    await store.close()
    throw thrown
  }
}

interface StoreWatch {
  readonly onWritten: (bytes: number) => void
  readonly onFailure: (error: AnnealError) => void
}

function openStore(
  ports: NodePorts,
  metrics: NodeMetrics,
  { onWritten, onFailure }: StoreWatch
): Promise<Store> {
  const { database, timers, random, log, config } = ports
  return Store.open({
    database,
    timers,
    random,
    log,
    durability: config.durability,
    pendingBytesMax,
    events: {
      onBatch: ({ operations, bytes }) => {
        metrics.batches.inc()
        metrics.batchOperations.inc(operations)
        metrics.batchBytes.inc(bytes)
        onWritten(bytes)
      },
      onDamage: (key, reason) => {
        metrics.damagedRows.inc()
        log.error(
          { bucket: String(key.bucket), key: String(key.key), reason },
          'a stored row is damaged; it is taken from the other replicas'
        )
      },
      onIncarnation: () => metrics.incarnations.inc(),
      onFailure
    }
  })
}

/** A data directory belongs to one node of one cluster, and its partitions never change. */
async function checkIdentity(store: Store, config: Config): Promise<void> {
  const own = {
    id: config.node.id,
    cluster: config.cluster.name,
    partitions: config.cluster.partitions
  }
  const found = store.readMeta(identityRow)
  if (found === null) return store.writeMeta(identityRow, Buffer.from(JSON.stringify(own)))
  const recorded: unknown = JSON.parse(found.toString())
  const names = { id: 'node.id', cluster: 'cluster.name', partitions: 'cluster.partitions' }
  const differences = Object.entries(own).flatMap(([field, value]) => {
    const before: unknown = Object(recorded)[field]
    if (before === value) return []
    const name = Reflect.get(names, field)
    return [`${name} was ${JSON.stringify(before)} and is now ${JSON.stringify(value)}`]
  })
  if (differences.length === 0) return
  await store.close()
  throw new AnnealError(
    'internal',
    `the data directory ${config.node.data} belongs to another node: ${differences.join(', ')}. Give this node a directory of its own, or go back to the old settings`
  )
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
