import { assert } from '../../core/assert.ts'
import type { Clock, TimerHandle, Timers } from '../../core/ports.ts'
import { ticksPerMs, type VirtualTime, wallClockStartMs } from './virtual-time.ts'

export interface NodeTimeOptions {
  /** How far ahead the wall clock of the node is; negative: behind. */
  readonly offsetMs?: number
  /** How many seconds too many the node counts in a million; both of its clocks and its timers run by that. */
  readonly driftPpm?: number
}

/**
 * Virtual time as one life of a node sees it. `stop` is the end of that life: none of its timers fires afterwards, as
 * none does in a process that was killed.
 */
export class NodeTime {
  readonly #time: VirtualTime
  readonly #rate: number
  readonly #startMs: number
  #offsetMs: number
  #isStopped = false
  #isPaused = false
  /** What has come due during a pause, in that order. */
  readonly #held = new Map<TimerHandle, () => void>()

  constructor(time: VirtualTime, { offsetMs = 0, driftPpm = 0 }: NodeTimeOptions = {}) {
    assert(driftPpm > -1e6, 'a clock that stands still never lets a timer fire')
    this.#time = time
    this.#rate = 1 + driftPpm / 1e6
    this.#startMs = time.nowMs
    this.#offsetMs = offsetMs
  }

  readonly clock: Clock = {
    now: () => wallClockStartMs + Math.floor(this.#startMs + this.#monotonicMs() + this.#offsetMs),
    monotonic: () => this.#monotonicMs()
  }

  readonly timers: Timers = {
    set: (callback, delayMs) => this.#set(callback, delayMs),
    clear: (timer) => {
      this.#time.cancel(timer)
      this.#held.delete(timer)
    },
    atEndOfTurn: (callback) => this.#time.atEndOfTurn(() => this.#call(callback))
  }

  /** Sets the wall clock forward, or back, as a person or a time server would. */
  jump(byMs: number): void {
    this.#offsetMs += byMs
  }

  stop(): void {
    this.#isStopped = true
    this.#held.clear()
  }

  /** The process is stopped, while its clocks go on. */
  pause(): void {
    this.#isPaused = true
  }

  /** The process goes on: with the timers that have come due, each in a turn of its own. */
  resume(): void {
    this.#isPaused = false
    for (const timer of this.#held.keys()) this.#time.schedule(() => this.#catchUp(timer), 0)
  }

  #catchUp(timer: TimerHandle): void {
    const callback = this.#held.get(timer)
    if (this.#isPaused || callback === undefined) return
    this.#held.delete(timer)
    this.#call(callback)
  }

  #monotonicMs(): number {
    return (this.#time.nowMs - this.#startMs) * this.#rate
  }

  #set(callback: () => void, delayMs: number): TimerHandle {
    // A clock that drifts is rounded; one tick more, and no timer fires before its own node's clock allows it.
    const ownMs = this.#rate === 1 ? delayMs : delayMs / this.#rate + 1 / ticksPerMs
    const timer: TimerHandle = this.#time.schedule(() => {
      if (this.#isPaused) this.#held.set(timer, callback)
      else this.#call(callback)
    }, ownMs)
    return timer
  }

  #call(callback: () => void): void {
    if (!this.#isStopped) callback()
  }
}
