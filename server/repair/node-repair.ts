import type { AnnealError } from '../../core/errors.ts'
import type { Clock, Log, RandomSource, Timers } from '../../core/ports.ts'
import { Collection } from '../../repair/collection.ts'
import { PartitionLocks } from '../../repair/reconcile/partition-locks.ts'
import { ReconcileRunner } from '../../repair/reconcile/reconcile-runner.ts'
import type { ReportExchange } from '../../repair/report-exchange.ts'
import type { WorkShare } from '../../repair/work-share.ts'
import type { HashTrees } from '../../storage/hash-trees.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { Store } from '../../storage/store.ts'
import type { TreeKeeper } from '../../storage/tree-keeper.ts'
import type { ConflictMode } from '../../storage/version.ts'
import type { ClusterState } from '../cluster-state.ts'
import type { Config } from '../config/schema.ts'
import type { HintedHandoff } from '../hinted-handoff.ts'
import type { LocalReplica } from '../local-replica.ts'
import type { OpenedReception } from '../open-reception.ts'
import type { Outcome } from '../peer/peer-link.ts'
import type { PeerRequests } from '../peer/peers.ts'
import { AnsweredExchanges } from './answered-exchanges.ts'
import { createBeginExchange } from './begin-exchange.ts'
import type { HintsSource } from './hints-report.ts'
import { NodeRangeSide } from './node-range-side.ts'
import type { Pacer } from './pacer.ts'
import { RepairService } from './repair-service.ts'
import { SessionTotals } from './session-totals.ts'
import type { TreesSource } from './trees-report.ts'
import { Upkeep } from './upkeep.ts'
import { upkeepTasks } from './upkeep-tasks.ts'

export interface NodeRepairParts {
  readonly config: Config
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  /** Between two looks at what there is to do in the background. */
  readonly lookEveryMs: number
  readonly log: Log
  readonly store: Store
  readonly trees: HashTrees
  readonly keeper: TreeKeeper
  readonly cluster: ClusterState
  readonly peers: PeerRequests
  readonly local: LocalReplica
  readonly arriving: OpenedReception
  readonly reports: ReportExchange
  readonly handoff: HintedHandoff
  readonly pacer: Pacer
  readonly share: WorkShare
  readonly modeOf: (key: ObjectKey) => ConflictMode
  readonly writesRefused: () => AnnealError | null
  /** See `DamageHealingOptions`. */
  readonly readFromAll: (key: ObjectKey) => Promise<unknown>
}

const pausedRow = 'repair-paused'
const ledgerRow = 'repair-ledger '

/** Everything on one node that brings replicas together again, but for reads and writes. */
export class NodeRepair {
  readonly service: RepairService
  readonly answered: AnsweredExchanges
  readonly pacer: Pacer
  readonly totals: SessionTotals
  readonly collection: Collection
  readonly keeper: TreeKeeper
  readonly trees: TreesSource
  readonly hints: HintsSource
  readonly upkeep: Upkeep
  readonly requestFailures = new Map<string, number>()
  readonly scrubbed: { rows: number; leaves: number; rounds: number }

  readonly #log: Log

  constructor(parts: NodeRepairParts) {
    this.#log = parts.log
    const { store, clock, timers, random, log, config, cluster, trees, keeper, pacer, share } =
      parts
    const { lookEveryMs } = parts
    const { id: selfId } = config.node
    const isReplica = (partition: number) => cluster.ring.replicas(partition).includes(selfId)
    const locks = new PartitionLocks()
    const side = new NodeRangeSide({ ...parts, ...parts.arriving, isReplica })
    const budget = (bytes: number, peer: string) =>
      pacer.pass(bytes, cluster.member(peer)?.region !== cluster.self?.region)
    const shared = { side, locks, clock, timers, share, budget }
    this.pacer = pacer
    this.keeper = keeper
    this.totals = new SessionTotals((partition) => trees.keysIn(partition))
    this.service = new RepairService({
      ...config.repair,
      selfId,
      clock,
      timers,
      random,
      lookEveryMs,
      log,
      ring: () => cluster.ring,
      isUp: (peer) => parts.peers.isUp(peer),
      pace: () => pacer.pace,
      storage: {
        read: (peer) => store.readMeta(ledgerRow + peer),
        write: (peer, record) => store.writeMeta(ledgerRow + peer, record)
      },
      paused: {
        read: () => store.readMeta(pausedRow)?.[0] === 1,
        write: (paused) => store.writeMeta(pausedRow, Uint8Array.of(paused ? 1 : 0))
      },
      begin: createBeginExchange({
        runner: new ReconcileRunner({
          ...shared,
          random,
          request: (peer, body, timeoutMs, callback) =>
            parts.peers.request(peer, 'bulk', body, timeoutMs, (outcome) => {
              this.#countFailure(outcome)
              callback(outcome)
            })
        }),
        timers,
        refreshReports: () => parts.reports.refresh(),
        reportTable: () => parts.arriving.facts.offers([], '')[0]?.name ?? ''
      }),
      onSession: (peer, outcome) => this.totals.note(peer, outcome),
      onMemberGone: (peer) => this.totals.forget(peer),
      onRingChange: () => this.answered.close()
    })
    this.answered = new AnsweredExchanges({
      ...shared,
      selfId,
      concurrency: config.repair.concurrency,
      ledgerNow: () => this.service.ledger.now,
      onEnd: (report, outcomes, since) => {
        this.totals.noteAnswered(report)
        this.service.responded(report.peer, outcomes, since)
      }
    })
    this.collection = new Collection({
      store,
      watermarks: parts.arriving.watermarks,
      clock,
      partitions: trees.partitions,
      graceMs: config.tombstones.graceMs,
      isReplica
    })
    this.trees = {
      get partitions() {
        return Array.from({ length: trees.partitions }, (_, id) => id).filter(isReplica)
      },
      ready: (partition) => keeper.ready(partition),
      keysIn: (partition) => trees.keysIn(partition),
      root: (partition) => trees.root(partition),
      verify: (partition) => keeper.verify(partition)
    }
    const { store: hintStore, delivery } = parts.handoff
    const acceptsWrites = () => parts.writesRefused() === null
    this.hints = {
      backlog: () => hintStore.backlog(),
      flush: () => delivery.flush()
    }
    const damage = {
      damagedKeys: (countMax: number) => store.damagedKeys(countMax),
      readFromAll: parts.readFromAll
    }
    const { tasks, scrubbed } = upkeepTasks(
      { keeper, pacer, collection: this.collection, acceptsWrites, damage, lookEveryMs },
      config,
      clock
    )
    this.scrubbed = scrubbed
    this.upkeep = new Upkeep({ timers, random, log, tasks })
  }

  start(): void {
    this.pacer.start()
    this.service.start()
    this.upkeep.start()
  }

  /** Ends what is in progress, and writes the trees down, so that a start counts nothing. */
  async stop(): Promise<void> {
    this.service.stop()
    this.answered.close()
    this.pacer.close()
    await this.upkeep.stop()
    // A storage that has failed takes nothing any more: the next start counts what was not written down.
    await this.keeper.close().catch((error: unknown) => {
      this.#log.warn({ error: String(error) }, 'the hash trees could not be written down')
    })
  }

  #countFailure(outcome: Outcome): void {
    if (outcome.kind !== 'noResponse' && outcome.kind !== 'failure') return
    const reason = outcome.kind === 'failure' ? outcome.code : outcome.reason
    this.requestFailures.set(reason, (this.requestFailures.get(reason) ?? 0) + 1)
  }
}
