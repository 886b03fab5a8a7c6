import { toHex } from '../../core/bytes.ts'
import { AnnealError } from '../../core/errors.ts'
import type { Clock, RandomSource } from '../../core/ports.ts'
import { RepairRun, type RunStatus } from '../../repair/repair-run.ts'
import type { SessionOutcome } from '../../repair/session-outcome.ts'
import type { Exchanges } from './exchanges.ts'
import type { PeerWatch } from './peer-watch.ts'

export interface RepairRunsOptions {
  readonly clock: Clock
  readonly random: RandomSource
  readonly partitionCount: number
  readonly watch: PeerWatch
  readonly exchanges: Exchanges
  /** How an exchange of a run has ended, for the ledger. */
  readonly onOutcome: (peer: string, outcome: SessionOutcome, since: number) => void
  /** Where the ledger stands, to be handed to `onOutcome`. */
  readonly ledgerNow: () => number
  /** Something may be to do now. */
  readonly wake: () => void
}

export interface RunRequest {
  readonly mode: 'incremental' | 'full'
  readonly dryRun: boolean
  /** Null: all. */
  readonly partitions: readonly number[] | null
}

interface Started {
  readonly run: RepairRun
  readonly request: RunRequest
  /** In full mode, by peer: the partitions whose trees are right on both sides. */
  readonly recomputedWith: Map<string, Set<number>>
}

const keptMax = 100
const runningMax = 8
const idBytes = 8
/** A link that breaks is there again within this, or its peer has gone away. */
const awayMs = 10_000

/** The repairs that operators asked for: those in progress, and the last hundred. */
export class RepairRuns {
  readonly #options: RepairRunsOptions
  /** In the order in which they were asked for. */
  readonly #runs = new Map<string, Started>()
  /** Since when a peer that a run needs is not up, by monotonic time. */
  readonly #awaySince = new Map<string, number>()

  constructor(options: RepairRunsOptions) {
    this.#options = options
  }

  /** Errors: `bad_parameter` for a partition that there is not; `overloaded` where too many are in progress. */
  start(request: RunRequest): RunStatus {
    this.#checkPartitions(request.partitions)
    if (this.#unfinished().length >= runningMax) {
      throw new AnnealError(
        'overloaded',
        `${runningMax} repairs are in progress on this node; wait for one to end, or cancel one`
      )
    }
    const { clock, random, watch } = this.#options
    const wanted = request.partitions === null ? null : new Set(request.partitions)
    const holders = watch
      .look()
      .map(({ id, up, partitions }) => ({
        peer: id,
        up,
        partitions: partitions.filter((partition) => wanted === null || wanted.has(partition))
      }))
      .filter(({ partitions }) => partitions.length > 0)
    const run = new RepairRun({
      id: toHex(random.bytes(idBytes)),
      mode: request.mode,
      dryRun: request.dryRun,
      pairs: holders.filter(({ up }) => up),
      skipped: holders.filter(({ up }) => !up).map(({ peer }) => peer),
      startedAtMs: clock.now(),
      random
    })
    this.#runs.set(run.id, { run, request, recomputedWith: new Map() })
    this.#prune()
    run.finishIfEmpty(clock.now())
    this.#options.wake()
    return run.status(clock.monotonic())
  }

  /** Errors: `not_found`. */
  status(id: string): RunStatus {
    return this.#get(id).run.status(this.#options.clock.monotonic())
  }

  /** The latest first. */
  list(): readonly RunStatus[] {
    const nowMs = this.#options.clock.monotonic()
    return [...this.#runs.values()].map(({ run }) => run.status(nowMs)).reverse()
  }

  /** Nothing is written on its behalf any more. One that is over stays as it is. Errors: `not_found`. */
  cancel(id: string): RunStatus {
    const { run } = this.#get(id)
    const { clock, exchanges } = this.#options
    run.cancel(clock.now())
    exchanges.cancel('the repair was cancelled', (exchange) => exchange.run === id)
    return run.status(clock.monotonic())
  }

  /** Begins what may begin now; answers how long until there may be more. */
  step(): number {
    const { clock, exchanges } = this.#options
    this.#giveUpOnTheAbsent()
    let soonestMs = Number.POSITIVE_INFINITY
    for (const started of this.#unfinished()) {
      const { ready, waitMs } = started.run.next(clock.monotonic())
      soonestMs = Math.min(soonestMs, waitMs)
      for (const { peer, partitions } of ready) {
        // What is being compared with somebody else is asked for when that is over, instead of being refused.
        const free = exchanges.free(partitions)
        if (exchanges.freeSlots > 0 && !exchanges.isRunningWith(peer) && free.length > 0) {
          this.#begin(started, peer, free)
        }
      }
    }
    return soonestMs
  }

  #begin(started: Started, peer: string, partitions: readonly number[]): void {
    const { run, request } = started
    const { clock, exchanges, onOutcome, ledgerNow } = this.#options
    const since = ledgerNow()
    run.began(peer)
    exchanges.begin({
      peer,
      partitions,
      run: run.id,
      recompute: request.mode === 'full' ? toRecompute(started, peer, partitions) : [],
      dryRun: request.dryRun,
      onProgress: (counters) => run.progress(peer, counters, clock.monotonic()),
      onEnd: (outcome) => {
        noteRecomputed(started, peer, outcome.recomputed)
        run.ended(peer, outcome, { nowMs: clock.monotonic(), finishedAtMs: clock.now() })
        onOutcome(peer, outcome, since)
      }
    })
  }

  #giveUpOnTheAbsent(): void {
    const { clock, watch, exchanges } = this.#options
    const nowMs = clock.monotonic()
    const present = new Set(
      watch
        .look()
        .filter(({ up }) => up)
        .map(({ id }) => id)
    )
    const needed = new Set<string>()
    for (const { run } of this.#unfinished()) {
      for (const peer of run.peersLeft) {
        needed.add(peer)
        if (present.has(peer)) continue
        const sinceMs = this.#awaySince.get(peer) ?? nowMs
        this.#awaySince.set(peer, sinceMs)
        if (nowMs - sinceMs < awayMs || exchanges.isRunningWith(peer)) continue
        run.lost(peer, clock.now())
      }
    }
    for (const peer of this.#awaySince.keys()) {
      if (present.has(peer) || !needed.has(peer)) this.#awaySince.delete(peer)
    }
  }

  #checkPartitions(partitions: readonly number[] | null): void {
    const { partitionCount } = this.#options
    const wrong = partitions?.find((id) => !Number.isInteger(id) || id < 0 || id >= partitionCount)
    if (wrong === undefined) return
    throw new AnnealError(
      'bad_parameter',
      `there is no partition ${wrong}: they are numbered from 0 to ${partitionCount - 1}`,
      { parameter: 'partitions' }
    )
  }

  #get(id: string): Started {
    const started = this.#runs.get(id)
    if (started !== undefined) return started
    throw new AnnealError(
      'not_found',
      `this node knows no repair ${JSON.stringify(id.slice(0, 32))}: it keeps the last ${keptMax}, until it restarts`
    )
  }

  #unfinished(): readonly Started[] {
    return [...this.#runs.values()].filter(({ run }) => !run.isOver)
  }

  #prune(): void {
    for (const [id, { run }] of this.#runs) {
      if (this.#runs.size <= keptMax) return
      if (run.isOver) this.#runs.delete(id)
    }
  }
}

function toRecompute(
  { recomputedWith }: Started,
  peer: string,
  partitions: readonly number[]
): readonly number[] {
  const recomputed = recomputedWith.get(peer)
  return recomputed === undefined ? partitions : partitions.filter((id) => !recomputed.has(id))
}

function noteRecomputed(
  { recomputedWith }: Started,
  peer: string,
  partitions: readonly number[]
): void {
  const recomputed = recomputedWith.get(peer) ?? new Set()
  for (const partition of partitions) recomputed.add(partition)
  recomputedWith.set(peer, recomputed)
}
