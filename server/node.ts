import type { AnnealError } from '../core/errors.ts'
import type { Clock, Log, RandomSource, TimerHandle, Timers, Transport } from '../core/ports.ts'
import type { ReportExchange } from '../repair/report-exchange.ts'
import type { Database } from '../storage/database.ts'
import type { Store } from '../storage/store.ts'
import type { ClusterState } from './cluster-state.ts'
import type { Config } from './config/schema.ts'
import type { DataService } from './data-service.ts'
import type { DiskSpace, DiskWatch } from './disk-watch.ts'
import type { HintedHandoff } from './hinted-handoff.ts'
import type { KeyInspection } from './key-inspection.ts'
import type { KeyRepair } from './key-repair.ts'
import type { KeyWalk } from './key-walk.ts'
import type { NodeMetrics } from './node-metrics.ts'
import type { OpenedReception } from './open-reception.ts'
import type { Peers } from './peer/peers.ts'
import type { QuarantineDesk } from './quarantine-desk.ts'
import type { ForegroundLatency } from './repair/foreground-latency.ts'
import type { NodeRepair } from './repair/node-repair.ts'
import type { WatermarkAges } from './repair/watermark-ages.ts'

/** Everything that a node needs from the world. */
export interface NodePorts {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  readonly transport: Transport
  readonly database: Database
  /** It is a copy of what could be read of a damaged one: rows of any partition may be missing, or old. */
  readonly isSalvaged: boolean
  readonly log: Log
  readonly config: Config
  /** The release of the software, for people. */
  readonly release: string
  /** Null where there is no disk to watch. */
  readonly readDisk: (() => Promise<DiskSpace>) | null
  /** How late the event loop has run what was due lately. */
  readonly eventLoopDelayMs: () => number
  /** The node cannot go on: its storage has failed. */
  readonly onFailure: (error: AnnealError) => void
}

/** One condition of being ready. */
export interface ReadinessCheck {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

const aloneAfterMs = 1500

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
  /** What arrives, and what has been proven about it. */
  readonly arriving: OpenedReception
  readonly quarantine: QuarantineDesk
  readonly keyRepair: KeyRepair
  readonly watermarkAges: WatermarkAges
  readonly reports: ReportExchange
  /** What replicas missed that could not be reached. */
  readonly handoff: HintedHandoff
  readonly repair: NodeRepair
  /** How long the requests of users take, which repair gives way to. */
  readonly foreground: ForegroundLatency
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
    this.arriving = parts.arriving
    this.quarantine = parts.quarantine
    this.keyRepair = parts.keyRepair
    this.watermarkAges = parts.watermarkAges
    this.reports = parts.reports
    this.handoff = parts.handoff
    this.repair = parts.repair
    this.foreground = parts.foreground
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
    this.reports.start()
    this.handoff.delivery.start()
    this.repair.start()
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

  /** In a word, for people. */
  get state(): 'starting' | 'ready' | 'stopping' {
    if (this.#stopping) return 'stopping'
    return this.isReady ? 'ready' : 'starting'
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
    this.reports.close()
    this.handoff.delivery.close()
    await this.repair.stop()
    await this.peers.close()
    await this.store.close()
  }
}

/** What a node is made of: see `createNode`. */
export interface NodeParts {
  readonly ports: NodePorts
  readonly store: Store
  readonly cluster: ClusterState
  readonly peers: Peers
  readonly data: DataService
  readonly walk: KeyWalk
  readonly inspection: KeyInspection
  readonly keyRepair: KeyRepair
  readonly watermarkAges: WatermarkAges
  readonly disk: DiskWatch | null
  readonly metrics: NodeMetrics
  readonly arriving: OpenedReception
  readonly quarantine: QuarantineDesk
  readonly reports: ReportExchange
  readonly handoff: HintedHandoff
  readonly repair: NodeRepair
  readonly foreground: ForegroundLatency
  readonly failure: () => AnnealError | null
}
