import type { Clock, TimerHandle, Timers } from '../../core/ports.ts'
import { decodeLinkMessage, encodeFrame, encodeLinkMessage } from '../../proto/frame-codec.ts'
import type { Failure, Reconciled, ReconcileRequest } from '../../proto/frames.ts'
import { PartitionLocks } from '../../repair/reconcile/partition-locks.ts'
import type { RangeSide } from '../../repair/reconcile/range-side.ts'
import {
  ReconcileResponder,
  type ResponderReport
} from '../../repair/reconcile/reconcile-responder-runner.ts'
import {
  type ReconcileOrder,
  ReconcileRunner,
  type RequestOutcome,
  type RunningSession
} from '../../repair/reconcile/reconcile-runner.ts'
import type { SessionOutcome } from '../../repair/session-outcome.ts'
import { WorkShare } from '../../repair/work-share.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { tableName } from './reconcile-side.ts'

interface Timer {
  readonly atMs: number
  readonly order: number
  readonly callback: () => void
}

/** Time that passes only when nothing else is left to do, and at once. */
export class StillTime implements Clock, Timers {
  #nowMs = 1_000_000
  #order = 0
  #underWay = 0
  readonly #timers = new Set<Timer>()

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#nowMs
  }

  set(callback: () => void, delayMs: number): TimerHandle {
    const timer = { atMs: this.#nowMs + delayMs, order: this.#order++, callback }
    this.#timers.add(timer)
    return timer
  }

  clear(timer: TimerHandle): void {
    for (const known of this.#timers) if (known === timer) this.#timers.delete(known)
  }

  atEndOfTurn(callback: () => void): void {
    this.soon(callback)
  }

  /** Something is under way: time stands still until it has happened. */
  soon(callback: () => void): void {
    this.#underWay++
    setImmediate(() => {
      this.#underWay--
      callback()
    })
  }

  get waiting(): number {
    return this.#timers.size
  }

  /** Lets time pass until the promise settles. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const done = () => {
      settled = true
    }
    promise.then(done, done)
    for (let idle = 0; !settled; ) {
      await new Promise((resolve) => setImmediate(resolve))
      idle = this.#underWay > 0 ? 0 : idle + 1
      if (idle < 4) continue
      idle = 0
      this.#fireNext()
    }
    return promise
  }

  async pass(ms: number): Promise<void> {
    await this.until(new Promise<void>((resolve) => this.set(resolve, ms)))
  }

  #fireNext(): void {
    let next: Timer | null = null
    for (const timer of this.#timers) {
      const isSooner =
        next === null ||
        timer.atMs < next.atMs ||
        (timer.atMs === next.atMs && timer.order < next.order)
      if (isSooner) next = timer
    }
    if (next === null) return
    this.#timers.delete(next)
    this.#nowMs = Math.max(this.#nowMs, next.atMs)
    next.callback()
  }
}

/** What becomes of a message. */
export type Fate = 'arrives' | 'lost' | 'twice' | 'late'

type Body = ReconcileRequest | Reconciled | Failure

/** Two sides, and between them a network that counts bytes and does what a test wants of it. */
export class Pair {
  readonly time = new StillTime()
  readonly ourLocks = new PartitionLocks()
  readonly theirLocks = new PartitionLocks()
  readonly responder: ReconcileResponder
  readonly runner: ReconcileRunner
  readonly reports: ResponderReport[] = []
  /** Bytes of all messages that were sent and answered, in both directions. */
  bytes = 0
  requests = 0
  fate: (direction: 'request' | 'answer', count: number) => Fate = () => 'arrives'
  /** Whatever is sent passes by here first. */
  onRequest: (body: ReconcileRequest) => void = () => {}
  answerInstead: ((body: ReconcileRequest) => RequestOutcome | null) | null = null
  readonly budgets: number[] = []
  /** When the other side may move bytes. */
  theirBudget: () => Promise<void> = () => Promise.resolve()
  #messages = 0

  constructor(ours: RangeSide, theirs: RangeSide) {
    const budget = (bytes: number) => {
      this.budgets.push(bytes)
      return Promise.resolve()
    }
    const share = new WorkShare({ clock: this.time, timers: this.time, requestsPerSecond: () => 0 })
    const ports = { clock: this.time, timers: this.time, share, budget }
    this.responder = new ReconcileResponder({
      ...ports,
      budget: (bytes) => {
        this.budgets.push(bytes)
        return this.theirBudget()
      },
      side: theirs,
      locks: this.theirLocks,
      onEnd: (report) => this.reports.push(report)
    })
    this.runner = new ReconcileRunner({
      ...ports,
      side: ours,
      locks: this.ourLocks,
      random: new SeededRandom('pair'),
      request: (_, body, timeoutMs, callback) => this.#request(body, timeoutMs, callback)
    })
  }

  start(
    order: Partial<ReconcileOrder> & { readonly partitions: readonly number[] }
  ): RunningSession {
    return this.runner.start({ peer: 'n2', table: tableName, ...order })
  }

  run(
    order: Partial<ReconcileOrder> & { readonly partitions: readonly number[] }
  ): Promise<SessionOutcome> {
    return this.time.until(this.start(order).ended)
  }

  /** Hands a request to the other side, as often as a faulty network likes. */
  deliver(body: ReconcileRequest, respond: (body: Reconciled | Failure) => void): void {
    try {
      this.responder.handle(body, 'n1', respond)
    } catch (error) {
      respond({ kind: 'failure', code: 'bad_request', message: String(error), details: '' })
    }
  }

  #request(
    body: ReconcileRequest,
    timeoutMs: number,
    callback: (outcome: RequestOutcome) => void
  ): void {
    this.requests++
    this.onRequest(body)
    const instead = this.answerInstead?.(body) ?? null
    if (instead !== null) {
      this.time.soon(() => callback(instead))
      return
    }
    let settled = false
    const settle = (outcome: RequestOutcome) => {
      if (settled) return
      settled = true
      this.time.clear(timer)
      callback(outcome)
    }
    const timer = this.time.set(() => settle({ kind: 'noResponse', reason: 'timeout' }), timeoutMs)
    // What merely keeps a session alive has nothing to do with the exchange, and depends on the clock.
    const counted = body.number > 0
    this.#carry('request', body, counted, (request) => {
      if (request.kind !== 'reconcile') return
      this.deliver(request, (answer) => {
        this.#carry('answer', answer, counted, (arrived) => {
          if (arrived.kind !== 'reconcile') settle(arrived)
        })
      })
    })
  }

  // Through the real frames, so that what is counted and what arrives is what the wire would have.
  #carry(
    direction: 'request' | 'answer',
    body: Body,
    counted: boolean,
    arrive: (body: Body) => void
  ): void {
    const frame = encodeFrame({ id: 100, epoch: 'e'.repeat(32), body })
    const message = encodeLinkMessage([frame])
    if (counted) this.bytes += message.length
    const deliver = () => {
      const [decoded] = decodeLinkMessage(message)
      const found = decoded?.body
      if (
        found?.kind === 'reconcile' ||
        found?.kind === 'reconciled' ||
        found?.kind === 'failure'
      ) {
        arrive(found)
      }
    }
    const fate = this.fate(direction, this.#messages++)
    if (fate === 'lost') return
    if (fate === 'late') this.time.set(deliver, 12_000)
    else this.time.soon(deliver)
    if (fate === 'twice') this.time.set(deliver, 20)
  }
}
