import type { Clock, Log, RandomSource, TimerHandle, Timers } from '../../core/ports.ts'
import type { Pace } from '../../repair/governor.ts'
import { Ledger, type LedgerStorage } from '../../repair/ledger.ts'
import type { EarlyReason } from '../../repair/ledger-codec.ts'
import { type PeerFacts, Scheduler } from '../../repair/scheduler.ts'
import type { PartitionOutcome, SessionOutcome } from '../../repair/session-outcome.ts'
import type { Ring } from '../../ring/ring.ts'
import type { BeginExchange } from './exchange.ts'
import { Exchanges } from './exchanges.ts'
import { PeerWatch } from './peer-watch.ts'
import { RepairRuns } from './repair-runs.ts'

export interface RepairServiceOptions {
  readonly selfId: string
  readonly enabled: boolean
  readonly intervalMs: number
  readonly concurrency: number
  /** Nothing is noticed later than this: peers that come up, ranges marked early, the end of a pause. */
  readonly lookEveryMs: number
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  readonly log: Log
  readonly ring: () => Ring
  readonly isUp: (peer: string) => boolean
  readonly pace: () => Pace
  readonly storage: LedgerStorage
  /** Whether an operator has paused it; kept over restarts. */
  readonly paused: {
    readonly read: () => boolean
    readonly write: (paused: boolean) => Promise<void>
  }
  readonly begin: BeginExchange
  readonly onSession: (peer: string, outcome: SessionOutcome) => void
  readonly onMemberGone: (peer: string) => void
  /** Also ends the exchanges that peers began. */
  readonly onRingChange: () => void
}

const lookMsMin = 20

/**
 * The repair of one node: begins exchanges as the scheduler decides and as operators ask, keeps the account, and can
 * say at any time what it does and why it does nothing else.
 */
export class RepairService {
  readonly ledger: Ledger
  readonly exchanges: Exchanges
  readonly runs: RepairRuns
  readonly watch: PeerWatch
  readonly #options: RepairServiceOptions
  readonly #scheduler: Scheduler
  readonly #lastDifferences = new Map<string, number>()
  #reasons: ReadonlyMap<string, string> = new Map()
  #members: readonly string[] = []
  #epoch = ''
  #timer: TimerHandle | null = null
  #isPaused: boolean
  #stopped = true

  constructor(options: RepairServiceOptions) {
    this.#options = options
    const { selfId, intervalMs, random, clock, ring, isUp, begin, concurrency } = options
    this.#isPaused = options.paused.read()
    this.ledger = new Ledger(options.storage, options.log)
    this.watch = new PeerWatch({ selfId, clock, ring, isUp })
    this.exchanges = new Exchanges(begin, clock, concurrency)
    this.#scheduler = new Scheduler({ selfId, intervalMs, random })
    this.runs = new RepairRuns({
      clock,
      random,
      partitionCount: ring().partitions,
      watch: this.watch,
      exchanges: this.exchanges,
      onOutcome: (peer, outcome, since) => this.#note(peer, outcome, since),
      ledgerNow: () => this.ledger.now,
      wake: () => this.wake()
    })
  }

  get intervalMs(): number {
    return this.#options.intervalMs
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Why background repair begins nothing at the moment; empty where nothing is in the way. */
  get held(): string {
    if (!this.#options.enabled) return 'background repair is disabled (repair.enabled)'
    if (this.#isPaused) return 'paused by an operator'
    const { state, reason } = this.#options.pace()
    return state === 'paused' ? `paused: ${reason}` : ''
  }

  /** Why no exchange with the peer begins now; empty where one may. */
  reasonFor(peer: string): string {
    return this.#reasons.get(peer) ?? ''
  }

  start(): void {
    this.#stopped = false
    this.#lookIn(0)
  }

  /** Ends what is in progress; nothing is begun any more. */
  stop(): void {
    this.#stopped = true
    if (this.#timer !== null) this.#options.timers.clear(this.#timer)
    this.#timer = null
    this.exchanges.cancel('this node stops')
  }

  /** Resolves once it is durable. Runs that operators asked for go on. */
  async pause(): Promise<void> {
    this.#isPaused = true
    this.exchanges.cancel('background repair was paused', ({ run }) => run === null)
    await this.#options.paused.write(true)
  }

  async resume(): Promise<void> {
    this.#isPaused = false
    this.wake()
    await this.#options.paused.write(false)
  }

  /**
   * The partition is to be compared before its time: with the target, or with all its other replicas. Where this node
   * holds nothing of it there is nothing that it could compare.
   */
  markEarly(partition: number, why: EarlyReason, target?: string): void {
    const { ring, selfId } = this.#options
    const replicas = ring().replicas(partition)
    if (!replicas.includes(selfId)) return
    const peers = replicas.filter((id) => id !== selfId && (target === undefined || id === target))
    this.#write(this.ledger.mark(partition, peers, why))
    this.wake()
  }

  /** A peer has compared itself with this node. */
  responded(peer: string, partitions: ReadonlyMap<number, PartitionOutcome>, since: number): void {
    const shared = this.watch.shared.get(peer) ?? []
    const equal = shared.filter((partition) => partitions.get(partition)?.verdict === 'equal')
    const nowMs = this.#options.clock.monotonic()
    const isWholeRound = shared.length > 0 && equal.length === shared.length
    this.#scheduler.responded(peer, { nowMs, isWholeRound })
    this.#write(this.ledger.note(peer, partitions, { since, nowMs: this.#options.clock.now() }))
  }

  /** Looks at once what there is to do, instead of at the next time. */
  wake(): void {
    if (!this.#stopped) this.#lookIn(0)
  }

  #lookIn(delayMs: number): void {
    const { timers } = this.#options
    if (this.#timer !== null) timers.clear(this.#timer)
    this.#timer = timers.set(() => this.#look(), delayMs)
  }

  #look(): void {
    this.#timer = null
    if (this.#stopped) return
    this.#followRing()
    const runsWaitMs = this.runs.step()
    const backgroundWaitMs = this.#stepBackground()
    const waitMs = Math.min(this.#options.lookEveryMs, runsWaitMs, backgroundWaitMs)
    this.#lookIn(Math.max(lookMsMin, waitMs))
  }

  #stepBackground(): number {
    const { clock } = this.#options
    for (;;) {
      const decision = this.#scheduler.next({
        nowMs: clock.monotonic(),
        held: this.held,
        freeSlots: this.exchanges.freeSlots,
        peers: this.#facts()
      })
      this.#reasons = decision.reasons
      if (decision.start === null) return decision.waitMs
      this.#begin(decision.start)
    }
  }

  #facts(): readonly PeerFacts[] {
    return this.watch.look().map((peer) => {
      const shared = new Set(peer.partitions)
      return {
        ...peer,
        early: this.ledger.earlyWith(peer.id).filter((partition) => shared.has(partition)),
        differences: this.#lastDifferences.get(peer.id) ?? 0,
        isRunning: this.exchanges.isRunningWith(peer.id),
        isBlocked: this.exchanges.free(peer.partitions).length === 0
      }
    })
  }

  #begin(start: {
    readonly peer: string
    readonly partitions: readonly number[]
    readonly isWholeRound: boolean
  }): void {
    const { peer, partitions, isWholeRound } = start
    const since = this.ledger.now
    this.exchanges.begin({
      peer,
      partitions,
      run: null,
      recompute: [],
      dryRun: false,
      onProgress: () => {},
      onEnd: (outcome) => {
        const nowMs = this.#options.clock.monotonic()
        this.#scheduler.ended(peer, { nowMs, isWholeRound }, outcome)
        this.#note(peer, outcome, since)
      }
    })
  }

  #note(peer: string, outcome: SessionOutcome, since: number): void {
    const { clock, onSession, log } = this.#options
    onSession(peer, outcome)
    if (outcome.end === 'done') this.#lastDifferences.set(peer, outcome.counters.differences)
    if (outcome.end === 'failed') {
      log.warn({ peer, reason: outcome.reason }, 'an exchange with a peer has failed')
    }
    this.#write(this.ledger.note(peer, outcome.partitions, { since, nowMs: clock.now() }))
    this.wake()
  }

  // A topology change ends the exchanges: what they speak of may belong to others now.
  #followRing(): void {
    const ring = this.#options.ring()
    if (ring.epoch === this.#epoch) return
    if (this.#epoch !== '') {
      this.exchanges.cancel('the ring has changed')
      this.#options.onRingChange()
    }
    this.#epoch = ring.epoch
    for (const id of this.#members.filter((member) => !ring.memberIds.includes(member))) {
      this.#lastDifferences.delete(id)
      this.#write(this.ledger.forget(id))
      this.#options.onMemberGone(id)
    }
    this.#members = ring.memberIds
  }

  // A storage that has failed stops the node by itself; the ledger only says how old things are.
  #write(written: Promise<void>): void {
    written.catch((thrown: unknown) => {
      if (this.#stopped) return
      this.#options.log.warn({ error: String(thrown) }, 'the repair ledger could not be written')
    })
  }
}
