import type { RandomSource } from '../core/ports.ts'
import { backoffMs } from './backoff.ts'
import type { SessionOutcome } from './session-outcome.ts'

export interface SchedulerOptions {
  readonly selfId: string
  readonly intervalMs: number
  readonly random: RandomSource
}

/** What is known of one peer at the moment. */
export interface PeerFacts {
  readonly id: string
  readonly up: boolean
  /** For people; empty where it is up. */
  readonly downSince: string
  /** The partitions that both hold. */
  readonly partitions: readonly number[]
  /** Those of them that are to be compared before their time. */
  readonly early: readonly number[]
  /** Keys that differed when the two were last compared. */
  readonly differences: number
  /** An exchange with it is in progress. */
  readonly isRunning: boolean
  /** All its partitions are being compared with others just now. */
  readonly isBlocked: boolean
}

export interface SchedulerFacts {
  /** Monotonic. */
  readonly nowMs: number
  /** Why nothing is begun at the moment; empty where nothing is in the way. */
  readonly held: string
  /** Exchanges that may be begun on top of those in progress. */
  readonly freeSlots: number
  readonly peers: readonly PeerFacts[]
}

export interface SchedulerDecision {
  readonly start: {
    readonly peer: string
    readonly partitions: readonly number[]
    /** Whether these are all that the two share: the next round is counted from its end. */
    readonly isWholeRound: boolean
  } | null
  /** When something may be due if nothing happens until then; infinite where nothing ever would be. */
  readonly waitMs: number
  /** By peer: why no exchange with it begins now, for the operator. */
  readonly reasons: ReadonlyMap<string, string>
}

interface PeerSchedule {
  wasUp: boolean
  /** It has come up and was not compared since. */
  cameUp: boolean
  /** When the next round over all partitions begins. */
  dueMs: number
  /** When the partitions marked early are compared; null: none were marked when last looked. */
  earlyMs: number | null
  /** What the last exchanges left undone; tried again once `heldUntilMs` is over. */
  leftovers: ReadonlySet<number>
  failures: number
  /** Nothing with this peer before this time, after an exchange that did not do all. */
  heldUntilMs: number
  heldReason: string
}

const jitterFraction = 0.1
/** A node that has come up, or news of a range to look at, is given a moment, so that all of it is met together. */
const promptFraction = 0.1
const promptMsMax = 1000
const backoffMinMsMax = 1000
const backoffMaxMsMax = 60_000

/**
 * Decides whom to compare with next, and says for all others why not now. Both of a pair may begin; an exchange that
 * either completed counts for both, and the one with the lower id goes first since the other waits a quarter of an
 * interval longer. Pure: it is told the facts and the time, and answers.
 */
export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #peers = new Map<string, PeerSchedule>()

  constructor(options: SchedulerOptions) {
    this.#options = options
  }

  next(facts: SchedulerFacts): SchedulerDecision {
    const reasons = new Map<string, string>()
    const ready: PeerFacts[] = []
    let waitMs = Number.POSITIVE_INFINITY
    this.#forgetAllBut(facts.peers)
    for (const peer of facts.peers) {
      const schedule = this.#observe(peer, facts.nowMs)
      const obstacle = obstacleOf(peer, facts.held)
      const readyInMs = this.#readyMs(peer, schedule) - facts.nowMs
      if (obstacle !== '') reasons.set(peer.id, obstacle)
      else if (readyInMs > 0) {
        reasons.set(peer.id, waitReason(schedule, facts.nowMs, readyInMs))
        waitMs = Math.min(waitMs, readyInMs)
      } else ready.push(peer)
    }
    const [first, ...rest] = ready.sort((a, b) => this.#compare(a, b, facts.nowMs))
    const next = facts.freeSlots > 0 ? first : undefined
    const waiting = next === undefined ? ready : rest
    for (const { id } of waiting) reasons.set(id, 'waiting for another exchange to end')
    return { start: next === undefined ? null : this.#startOf(next, facts.nowMs), waitMs, reasons }
  }

  /** An exchange that this node began with these partitions has ended. */
  ended(
    peer: string,
    { nowMs, isWholeRound }: { readonly nowMs: number; readonly isWholeRound: boolean },
    outcome: SessionOutcome
  ): void {
    const schedule = this.#peers.get(peer)
    if (schedule === undefined) return
    if (outcome.end !== 'done') {
      schedule.heldUntilMs = nowMs + this.#backoff(++schedule.failures)
      schedule.heldReason = outcome.reason
      schedule.earlyMs = null
      return
    }
    this.#settle(schedule, outcome, nowMs)
    if (isWholeRound) this.#roundDone(peer, schedule, nowMs)
  }

  /** The peer has compared itself with this node; `isWholeRound`: in all that the two share. */
  responded(
    peer: string,
    { nowMs, isWholeRound }: { readonly nowMs: number; readonly isWholeRound: boolean }
  ): void {
    const schedule = this.#peers.get(peer)
    if (schedule === undefined || !isWholeRound) return
    schedule.failures = 0
    schedule.heldUntilMs = Number.NEGATIVE_INFINITY
    // What came out different it tries again itself, and here the next round does.
    schedule.leftovers = new Set()
    this.#roundDone(peer, schedule, nowMs)
  }

  #settle(schedule: PeerSchedule, outcome: SessionOutcome, nowMs: number): void {
    const leftovers = new Set(schedule.leftovers)
    let equal = 0
    for (const [partition, { verdict }] of outcome.partitions) {
      if (verdict === 'equal') {
        equal++
        leftovers.delete(partition)
      } else leftovers.add(partition)
    }
    schedule.leftovers = leftovers
    schedule.failures = leftovers.size === 0 ? 0 : equal > 0 ? 1 : schedule.failures + 1
    schedule.earlyMs = null
    const retryMs = nowMs + this.#backoff(schedule.failures)
    schedule.heldUntilMs = leftovers.size === 0 ? Number.NEGATIVE_INFINITY : retryMs
    schedule.heldReason = `${leftovers.size} partitions are left over${reasonIn(outcome)}`
  }

  #roundDone(peer: string, schedule: PeerSchedule, nowMs: number): void {
    const { intervalMs, random } = this.#options
    const jitter = 1 + (random.fraction() * 2 - 1) * jitterFraction
    schedule.dueMs = nowMs + intervalMs * jitter + this.#courtesyMs(peer)
    schedule.cameUp = false
  }

  #observe(peer: PeerFacts, nowMs: number): PeerSchedule {
    let schedule = this.#peers.get(peer.id)
    if (schedule === undefined) {
      schedule = newSchedule(nowMs + this.#options.intervalMs)
      this.#peers.set(peer.id, schedule)
    }
    if (peer.up && !schedule.wasUp) {
      schedule.cameUp = true
      schedule.failures = 0
      schedule.heldUntilMs = Number.NEGATIVE_INFINITY
      const promptMs = nowMs + this.#promptMs() + this.#courtesyMs(peer.id)
      schedule.dueMs = Math.min(schedule.dueMs, promptMs)
    }
    schedule.wasUp = peer.up
    if (peer.early.length === 0) schedule.earlyMs = null
    else schedule.earlyMs ??= nowMs + this.#promptMs()
    return schedule
  }

  #readyMs({ early }: PeerFacts, schedule: PeerSchedule): number {
    const { dueMs, earlyMs, leftovers, heldUntilMs } = schedule
    const wishes = [dueMs]
    if (early.length > 0 && earlyMs !== null) wishes.push(earlyMs)
    if (leftovers.size > 0) wishes.push(heldUntilMs)
    return Math.max(heldUntilMs, Math.min(...wishes))
  }

  /** Who comes first sorts lower: marked early or just back, then the most overdue, then the most divergent. */
  #compare(a: PeerFacts, b: PeerFacts, nowMs: number): number {
    const urgency = Number(this.#isUrgent(b)) - Number(this.#isUrgent(a))
    if (urgency !== 0) return urgency
    const overdue = this.#overdueMs(b, nowMs) - this.#overdueMs(a, nowMs)
    if (overdue !== 0) return overdue
    return b.differences - a.differences || (a.id < b.id ? -1 : 1)
  }

  #isUrgent({ id, early }: PeerFacts): boolean {
    return early.length > 0 || this.#peers.get(id)?.cameUp === true
  }

  #overdueMs({ id }: PeerFacts, nowMs: number): number {
    return Math.max(0, nowMs - (this.#peers.get(id)?.dueMs ?? nowMs))
  }

  #startOf(peer: PeerFacts, nowMs: number): NonNullable<SchedulerDecision['start']> {
    const schedule = this.#peers.get(peer.id)
    const leftovers = schedule?.leftovers ?? new Set<number>()
    const early = new Set(peer.early)
    const wanted = peer.partitions.filter((id) => early.has(id) || leftovers.has(id))
    // Leftovers of partitions that the two share no more leave nothing to compare, and then it may as well be all.
    const isWholeRound = schedule === undefined || schedule.dueMs <= nowMs || wanted.length === 0
    return { peer: peer.id, partitions: isWholeRound ? peer.partitions : wanted, isWholeRound }
  }

  #courtesyMs(peer: string): number {
    return this.#options.selfId < peer ? 0 : this.#options.intervalMs / 4
  }

  #promptMs(): number {
    const { intervalMs, random } = this.#options
    return Math.min(promptMsMax, intervalMs * promptFraction) * random.fraction()
  }

  #backoff(failures: number): number {
    const { intervalMs, random } = this.#options
    const minMs = Math.min(backoffMinMsMax, intervalMs / 2)
    const maxMs = Math.max(minMs, Math.min(backoffMaxMsMax, intervalMs))
    return backoffMs(failures, { minMs, maxMs }, random)
  }

  #forgetAllBut(peers: readonly PeerFacts[]): void {
    const known = new Set(peers.map(({ id }) => id))
    for (const id of this.#peers.keys()) if (!known.has(id)) this.#peers.delete(id)
  }
}

function newSchedule(dueMs: number): PeerSchedule {
  return {
    wasUp: false,
    cameUp: false,
    dueMs,
    earlyMs: null,
    leftovers: new Set(),
    failures: 0,
    heldUntilMs: Number.NEGATIVE_INFINITY,
    heldReason: ''
  }
}

function obstacleOf(peer: PeerFacts, held: string): string {
  if (peer.partitions.length === 0) return 'shares no partition with this node'
  if (!peer.up) return `${peer.id} is down since ${peer.downSince}`
  if (peer.isRunning) return 'running'
  if (held === '' && peer.isBlocked) return 'waiting for another exchange to end'
  return held
}

function waitReason(schedule: PeerSchedule, nowMs: number, readyInMs: number): string {
  const inSeconds = `in ${Math.ceil(readyInMs / 1000)} s`
  if (schedule.heldUntilMs > nowMs) return `waiting: ${schedule.heldReason}; next try ${inSeconds}`
  return `next round ${inSeconds}`
}

/** The first of the reasons for which something was left over. */
function reasonIn({ partitions }: SessionOutcome): string {
  for (const { reason } of partitions.values()) if (reason !== '') return `: ${reason}`
  return ''
}
