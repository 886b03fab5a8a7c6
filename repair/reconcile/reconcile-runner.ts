import { AnnealError } from '../../core/errors.ts'
import type { Clock, RandomSource, TimerHandle, Timers } from '../../core/ports.ts'
import type { ReconcileRequest, Response } from '../../proto/frames.ts'
import {
  noCounters,
  nothingShipped,
  type SessionCounters,
  type SessionOutcome
} from '../session-outcome.ts'
import type { WorkShare } from '../work-share.ts'
import { CallPerformer } from './call-performer.ts'
import type { Call } from './calls.ts'
import type { Question } from './messages.ts'
import type { PartitionLocks } from './partition-locks.ts'
import { encodeQuestion } from './question-codec.ts'
import type { FactName, RangeSide } from './range-side.ts'
import { ReconcileSession } from './reconcile-session.ts'

/** What came of a request: as the peer links tell it. */
export type RequestOutcome =
  | Response
  | {
      readonly kind: 'noResponse'
      readonly reason: 'unreachable' | 'lost' | 'timeout' | 'overloaded'
    }

export interface ReconcileRunnerOptions {
  readonly side: RangeSide
  readonly locks: PartitionLocks
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  readonly share: WorkShare
  /** Resolves once so many bytes may be moved between this node and the peer. */
  readonly budget: (bytes: number, peer: string) => Promise<void>
  /** Over the bulk channel; every request has exactly one outcome. */
  readonly request: (
    peer: string,
    body: ReconcileRequest,
    timeoutMs: number,
    callback: (outcome: RequestOutcome) => void
  ) => void
}

export interface ReconcileOrder {
  readonly peer: string
  /** In rising order. Those that take part in another exchange of this node come out as busy. */
  readonly partitions: readonly number[]
  /** Refreshed from the members before. */
  readonly table: FactName
  readonly youngMs?: number
  readonly dryRun?: boolean
  /** The partitions whose trees both sides recompute from the rows first. */
  readonly recompute?: readonly number[]
}

export interface RunningSession {
  readonly peer: string
  /** The partitions that the session was given; those that were busy here are not among them. */
  readonly partitions: readonly number[]
  readonly counters: SessionCounters
  /** Nothing is shipped, or taken in, any more. `ended` resolves. */
  cancel(reason: string): void
  /** Never rejects. */
  readonly ended: Promise<SessionOutcome>
}

export const defaultYoungMs = 2000
const requestTimeoutMs = 10_000
const attemptsMax = 3
/** For so long a peer that is there may recompute one tree: hours would be needed only by what has gone astray. */
const longAnswerMsMax = 3_600_000
const retryPauseMs = 250
/** The peer gives up a session that it has not heard of for 10 s. */
const keepAliveMs = 3000

/** Begins exchanges with other nodes: the thin shell around `ReconcileSession`. */
export class ReconcileRunner {
  readonly #options: ReconcileRunnerOptions

  constructor(options: ReconcileRunnerOptions) {
    this.#options = options
  }

  start(order: ReconcileOrder): RunningSession {
    return new SessionRun(this.#options, order)
  }
}

type AskCall = Extract<Call, { kind: 'ask' }>

class SessionRun implements RunningSession {
  readonly #options: ReconcileRunnerOptions
  readonly #order: ReconcileOrder
  readonly #id: Uint8Array
  readonly #session: ReconcileSession
  readonly #performer: CallPerformer
  readonly #settle: (outcome: SessionOutcome) => void
  readonly ended: Promise<SessionOutcome>
  readonly partitions: readonly number[]
  #askedMs: number
  #keepAlive: TimerHandle | null = null
  #over = false

  constructor(options: ReconcileRunnerOptions, order: ReconcileOrder) {
    this.#options = options
    this.#order = order
    const { side, locks, clock, timers, random, share, budget } = options
    const { peer, table, youngMs = defaultYoungMs, dryRun = false, recompute = [] } = order
    this.#id = random.bytes(8)
    this.#askedMs = clock.monotonic()
    this.partitions = locks.take(order.partitions, this)
    const id = this.#id
    const partitions = this.partitions
    this.#session = new ReconcileSession({
      id,
      peer,
      side,
      table,
      partitions,
      youngMs,
      dryRun,
      recompute
    })
    this.#performer = new CallPerformer({
      side,
      peer,
      clock,
      timers,
      share,
      budget: (bytes) => budget(bytes, peer),
      ask: (question) => this.#ask(question, this.#deadlineOf(question), attemptsMax)
    })
    const { promise, resolve } = Promise.withResolvers<SessionOutcome>()
    this.ended = promise
    this.#settle = resolve
    const session = this.#session
    const driven = {
      start: () => session.start(),
      step: session.step.bind(session),
      isOver: () => session.outcome !== null
    }
    this.#performer.drive(driven, () => this.#end())
    this.#stayAlive()
  }

  get peer(): string {
    return this.#order.peer
  }

  get counters(): SessionCounters {
    return this.#session.counters
  }

  cancel(reason: string): void {
    this.#session.cancel(reason)
    this.#end()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#performer.stop()
    if (this.#keepAlive !== null) this.#options.timers.clear(this.#keepAlive)
    this.#options.locks.releaseAll(this)
    const { outcome } = this.#session
    const ended = outcome ?? emptyOutcome
    if (ended.end === 'failed' || ended.end === 'cancelled') this.#tell({ kind: 'bye' })
    this.#settle(this.#withBusy(ended))
  }

  /** Adds the partitions that this node was comparing with somebody else. */
  #withBusy(outcome: SessionOutcome): SessionOutcome {
    if (this.partitions.length === this.#order.partitions.length) return outcome
    const partitions = new Map(outcome.partitions)
    for (const partition of this.#order.partitions) {
      if (!partitions.has(partition)) partitions.set(partition, busyHere)
    }
    if (this.partitions.length > 0) return { ...outcome, partitions }
    return { ...outcome, end: 'busy', reason: busyHere.reason, partitions }
  }

  /** Until when a question is asked again for as long as the peer is there, whatever the attempts. */
  #deadlineOf({ isLong }: AskCall): number {
    return isLong ? this.#options.clock.monotonic() + longAnswerMsMax : Number.NEGATIVE_INFINITY
  }

  async #ask(question: AskCall, deadlineMs: number, attemptsLeft: number): Promise<Buffer> {
    if (this.#over) throw new AnnealError('not_ready', 'the exchange was ended')
    const outcome = await this.#request(question.number, question.payload)
    if (outcome.kind === 'reconciled') return Buffer.from(outcome.payload)
    const isFailure = outcome.kind === 'failure'
    if (isFailure && outcome.code !== 'overloaded') {
      const code = outcome.code === 'epoch' ? 'not_ready' : outcome.code
      throw new AnnealError(code, `${this.peer}: ${outcome.message}`)
    }
    const reason = outcome.kind === 'noResponse' ? outcome.reason : 'overloaded'
    const isAtIt = reason === 'timeout' && this.#options.clock.monotonic() < deadlineMs
    const left = isAtIt ? attemptsLeft : attemptsLeft - 1
    if (left === 0) throw new AnnealError('timeout', `no answer of ${this.peer}: ${reason}`)
    if (reason !== 'timeout') await this.#pause()
    return this.#ask(question, deadlineMs, left)
  }

  #request(number: number, payload: Buffer): Promise<RequestOutcome> {
    this.#askedMs = this.#options.clock.monotonic()
    const body = { kind: 'reconcile', session: this.#id, number, payload } as const
    return new Promise((resolve) => {
      this.#options.request(this.peer, body, requestTimeoutMs, resolve)
    })
  }

  #pause(): Promise<void> {
    const { timers, random } = this.#options
    const delayMs = retryPauseMs * (0.5 + random.fraction())
    return new Promise((resolve) => timers.set(resolve, delayMs))
  }

  #stayAlive(): void {
    const { timers, clock } = this.#options
    this.#keepAlive = timers.set(() => {
      if (clock.monotonic() - this.#askedMs >= keepAliveMs) this.#tell({ kind: 'keep' })
      this.#stayAlive()
    }, keepAliveMs)
  }

  /** Says something to which no answer is awaited. */
  #tell(question: Question): void {
    const payload = encodeQuestion(question, { facts: [], wanted: [] })
    void this.#request(0, payload)
  }
}

const emptyOutcome: SessionOutcome = {
  end: 'done',
  reason: '',
  partitions: new Map(),
  recomputed: [],
  counters: noCounters
}

const busyHere = {
  verdict: 'busy',
  reason: 'this node compares it with somebody else',
  ...nothingShipped
} as const
