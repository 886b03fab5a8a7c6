import type { Clock, TimerHandle, Timers } from '../core/ports.ts'

export interface WorkShareOptions {
  readonly clock: Clock
  readonly timers: Timers
  /** Requests of users that this node has lately had a part in, in a second. */
  readonly requestsPerSecond: () => number
}

/** Work of one turn of the event loop, after which everybody else has one. */
export const turnMsMax = 2
/** For each millisecond of work so many of rest, where users are hard at work: a fifth of the time is left to repair. */
const restPerWorkMax = 4
/** With so many requests there is as much rest as work, with twice as many twice as much. */
const requestsPerRest = 50
/** With fewer, users are not taken to be at work. */
const busyRequests = 10
/** Longer work is followed by no longer a rest, or one slow disk would let an exchange starve. */
const restMsMax = 100
/** Less is not worth a timer. */
const restMsMin = 1

/**
 * Keeps the repair of one node to a share of its time while users are at work, the smaller the more they ask for: what is
 * worked is followed by a rest, and time in which an exchange waits for its peer counts as rest too. Bytes have a budget
 * of their own, but what an exchange costs a node is mostly looking for what differs.
 */
export class WorkShare {
  readonly #options: WorkShareOptions
  #restUntilMs = 0

  constructor(options: WorkShareOptions) {
    this.#options = options
  }

  get isBusy(): boolean {
    return this.#options.requestsPerSecond() >= busyRequests
  }

  /**
   * Something was done from then until now, by monotonic time. Work of which a good part is waiting for others is followed
   * by less rest than other work: `restPerWorkAtMost`.
   */
  worked(sinceMs: number, restPerWorkAtMost = restPerWorkMax): void {
    const { clock, requestsPerSecond } = this.#options
    const nowMs = clock.monotonic()
    const requests = requestsPerSecond()
    if (nowMs <= sinceMs || requests < busyRequests) return
    const restPerWork = Math.min(requests / requestsPerRest, restPerWorkAtMost)
    const untilMs = Math.max(this.#restUntilMs, nowMs) + (nowMs - sinceMs) * restPerWork
    this.#restUntilMs = Math.min(untilMs, nowMs + restMsMax)
  }

  /** As `worked`, and leaves the node to others, where work has lasted for a turn. Answers since when it is worked now. */
  async giveWay(sinceMs: number, restPerWorkAtMost = restPerWorkMax): Promise<number> {
    const { clock } = this.#options
    if (clock.monotonic() < sinceMs + turnMsMax) return sinceMs
    this.worked(sinceMs, restPerWorkAtMost)
    await new Promise<void>((resolve) => this.next(resolve))
    return clock.monotonic()
  }

  /** Calls back in another turn of the event loop, after the rest that is due. Null where no timer was needed. */
  next(callback: () => void): TimerHandle | null {
    const { clock, timers } = this.#options
    const restMs = this.#restUntilMs - clock.monotonic()
    if (restMs >= restMsMin) return timers.set(callback, restMs)
    timers.atEndOfTurn(callback)
    return null
  }
}
