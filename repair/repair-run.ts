import type { RandomSource } from '../core/ports.ts'
import { backoffMs } from './backoff.ts'
import { ProgressEstimate } from './progress-estimate.ts'
import {
  addCounters,
  noCounters,
  type SessionCounters,
  type SessionOutcome
} from './session-outcome.ts'

export interface RepairRunOptions {
  readonly id: string
  /** `full`: the trees are recomputed from the rows on both sides first. */
  readonly mode: 'incremental' | 'full'
  /** Finds and counts differences, ships nothing. */
  readonly dryRun: boolean
  /** What is to be compared with whom. */
  readonly pairs: readonly { readonly peer: string; readonly partitions: readonly number[] }[]
  /** Members that hold some of the partitions too and cannot be reached. */
  readonly skipped: readonly string[]
  readonly startedAtMs: number
  readonly random: RandomSource
}

export interface RunStatus {
  readonly id: string
  readonly mode: 'incremental' | 'full'
  readonly dryRun: boolean
  readonly state: 'running' | 'done' | 'failed' | 'cancelled'
  /** Why it failed, or what it waits for; empty where there is nothing to say. */
  readonly reason: string
  /** Pairs of a partition and a peer. */
  readonly partitions: { readonly done: number; readonly total: number }
  readonly counters: SessionCounters
  readonly skipped: readonly string[]
  /** Wall clock. */
  readonly startedAtMs: number
  readonly finishedAtMs: number | null
  /** Null while it cannot be said, and once it is over. */
  readonly etaSeconds: number | null
}

interface PeerWork {
  readonly peer: string
  readonly remaining: Set<number>
  /** What its exchanges that are over have done. */
  past: SessionCounters
  /** What the exchange in progress has done so far; null while there is none. */
  live: SessionCounters | null
  /** Exchanges in a row that brought nothing. */
  fruitless: number
  retryMs: number
  reason: string
  givenUp: boolean
}

const retry = { minMs: 250, maxMs: 5000 }
/** Some minutes of trying: a partition is only busy while it is compared with somebody else. */
const fruitlessMax = 60

/**
 * One repair that an operator asked for: every partition that this node shares with a reachable member is compared
 * with it, and tried again where the peer is busy. Pure: it says what to begin next, and is told how that went. Times
 * are monotonic milliseconds but where they say otherwise.
 */
export class RepairRun {
  readonly #options: RepairRunOptions
  readonly #work: readonly PeerWork[]
  readonly #total: number
  readonly #estimate = new ProgressEstimate()
  #end: { readonly state: 'done' | 'failed' | 'cancelled'; readonly atMs: number } | null = null

  constructor(options: RepairRunOptions) {
    this.#options = options
    this.#work = options.pairs.map(({ peer, partitions }) => ({
      peer,
      remaining: new Set(partitions),
      past: noCounters,
      live: null,
      fruitless: 0,
      retryMs: Number.NEGATIVE_INFINITY,
      reason: '',
      givenUp: false
    }))
    this.#total = options.pairs.reduce((sum, { partitions }) => sum + partitions.length, 0)
  }

  get id(): string {
    return this.#options.id
  }

  get isOver(): boolean {
    return this.#end !== null
  }

  /** Those with whom something is left to compare. */
  get peersLeft(): readonly string[] {
    return this.#work.filter(isOpen).map(({ peer }) => peer)
  }

  /** The exchanges that may begin now, and how long until there may be others. */
  next(nowMs: number): {
    readonly ready: readonly { readonly peer: string; readonly partitions: readonly number[] }[]
    readonly waitMs: number
  } {
    if (this.#end !== null) return { ready: [], waitMs: Number.POSITIVE_INFINITY }
    const open = this.#work.filter((work) => isOpen(work) && work.live === null)
    const waits = open.map(({ retryMs }) => retryMs - nowMs).filter((waitMs) => waitMs > 0)
    const ready = open
      .filter(({ retryMs }) => retryMs <= nowMs)
      .map(({ peer, remaining }) => ({ peer, partitions: [...remaining] }))
    return { ready, waitMs: Math.min(Number.POSITIVE_INFINITY, ...waits) }
  }

  began(peer: string): void {
    const work = this.#of(peer)
    if (work !== undefined) work.live = noCounters
  }

  progress(peer: string, counters: SessionCounters, nowMs: number): void {
    const work = this.#of(peer)
    if (work === undefined || work.live === null) return
    work.live = counters
    this.#estimate.observe(this.#counters, nowMs)
  }

  /** An exchange that was begun has ended. `finishedAtMs` is wall clock. */
  ended(
    peer: string,
    outcome: SessionOutcome,
    { nowMs, finishedAtMs }: { readonly nowMs: number; readonly finishedAtMs: number }
  ): void {
    const work = this.#of(peer)
    if (work === undefined) return
    work.live = null
    work.past = addCounters(work.past, { ...outcome.counters, rowsToShip: 0, leavesToCompare: 0 })
    const before = work.remaining.size
    let reason = outcome.reason
    for (const [partition, { verdict, reason: why }] of outcome.partitions) {
      const isCompared = verdict === 'equal' || (verdict === 'differs' && this.#options.dryRun)
      if (isCompared) work.remaining.delete(partition)
      else reason ||= why
    }
    work.fruitless = work.remaining.size < before ? 0 : work.fruitless + 1
    work.reason =
      work.remaining.size === 0 ? '' : `${peer}: ${reason || 'not everything was compared'}`
    work.retryMs = nowMs + backoffMs(Math.max(1, work.fruitless), retry, this.#options.random)
    if (work.fruitless >= fruitlessMax) this.#giveUp(work, `tried ${fruitlessMax} times in vain`)
    this.#estimate.observe(this.#counters, nowMs)
    this.#finishIfComplete(finishedAtMs)
  }

  /** The peer went away; what is left to compare with it stays so. `finishedAtMs` is wall clock. */
  lost(peer: string, finishedAtMs: number): void {
    const work = this.#of(peer)
    if (work === undefined || !isOpen(work)) return
    work.reason = `${peer} went away`
    work.live = null
    this.#giveUp(work, '')
    this.#finishIfComplete(finishedAtMs)
  }

  cancel(finishedAtMs: number): void {
    this.#end ??= { state: 'cancelled', atMs: finishedAtMs }
  }

  /** Where there is nothing to compare it is over at once. */
  finishIfEmpty(finishedAtMs: number): void {
    this.#finishIfComplete(finishedAtMs)
  }

  status(nowMs: number): RunStatus {
    const { id, mode, dryRun, skipped, startedAtMs } = this.#options
    const state = this.#end?.state ?? 'running'
    return {
      id,
      mode,
      dryRun,
      state,
      reason: state === 'done' || state === 'cancelled' ? '' : this.#reason(),
      partitions: this.#partitions,
      counters: this.#counters,
      skipped,
      startedAtMs,
      finishedAtMs: this.#end?.atMs ?? null,
      etaSeconds: state === 'running' ? this.#estimate.etaSeconds(nowMs) : null
    }
  }

  get #partitions(): { readonly done: number; readonly total: number } {
    const left = this.#work.reduce((sum, { remaining }) => sum + remaining.size, 0)
    return { done: this.#total - left, total: this.#total }
  }

  get #counters(): SessionCounters {
    return this.#work.reduce(
      (sum, { past, live }) => addCounters(sum, live === null ? past : addCounters(past, live)),
      noCounters
    )
  }

  #reason(): string {
    return this.#work
      .filter(({ remaining, reason }) => remaining.size > 0 && reason !== '')
      .map(({ remaining, reason }) => `${reason} (${remaining.size} partitions left)`)
      .join('; ')
  }

  #giveUp(work: PeerWork, why: string): void {
    work.givenUp = true
    if (why !== '') work.reason = `${work.reason}, ${why}`
  }

  #finishIfComplete(atMs: number): void {
    if (this.#end !== null || this.#work.some((work) => isOpen(work) || work.live !== null)) return
    const isComplete = this.#work.every(({ remaining }) => remaining.size === 0)
    this.#end = { state: isComplete ? 'done' : 'failed', atMs }
  }

  #of(peer: string): PeerWork | undefined {
    return this.#work.find((work) => work.peer === peer)
  }
}

function isOpen({ remaining, givenUp }: PeerWork): boolean {
  return remaining.size > 0 && !givenUp
}
