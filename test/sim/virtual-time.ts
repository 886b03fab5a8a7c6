import { assert } from '../../core/assert.ts'
import type { Clock, TimerHandle, Timers } from '../../core/ports.ts'
import { EventQueue, type ScheduledEvent } from './event-queue.ts'

/** What the wall clock shows at the start of virtual time: 2026-01-01. */
export const wallClockStartMs = Date.UTC(2026, 0, 1)

/**
 * Every moment is a multiple of 1/1024 ms, so that times add without rounding: a timer never fires a hair before the
 * clock says that its delay is over.
 */
export const ticksPerMs = 1024

const eventsPerBreath = 4096

/**
 * Time that passes only when a test lets it, and no faster than the program has settled: between two events all promise
 * continuations run to their end. Everything that happens has one order, by time and then by insertion, so that a run
 * can be repeated.
 */
export class VirtualTime {
  readonly #events = new EventQueue()
  #endOfTurn: (() => void)[] = []
  #nowMs = 0
  #isRunning = false
  #eventCount = 0

  /** Virtual milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs
  }

  /** Events that have happened. */
  get eventCount(): number {
    return this.#eventCount
  }

  /** Events that are still to happen. */
  get pendingCount(): number {
    return this.#events.size
  }

  /** A clock without skew. */
  readonly clock: Clock = {
    now: () => wallClockStartMs + Math.floor(this.#nowMs),
    monotonic: () => this.#nowMs
  }

  readonly timers: Timers = {
    set: (callback, delayMs) => this.schedule(callback, delayMs),
    clear: (timer) => this.cancel(timer),
    atEndOfTurn: (callback) => this.atEndOfTurn(callback)
  }

  /** Calls `callback` after `delayMs` of virtual time; a delay that is negative or no number counts as none. */
  schedule(callback: () => void, delayMs: number): ScheduledEvent {
    const ticks = delayMs > 0 ? Math.ceil(delayMs * ticksPerMs) : 0
    return this.#events.add(this.#nowMs + ticks / ticksPerMs, callback)
  }

  cancel(timer: TimerHandle): void {
    if (isScheduledEvent(timer)) this.#events.cancel(timer)
  }

  atEndOfTurn(callback: () => void): void {
    this.#endOfTurn.push(callback)
  }

  /** Lets everything happen up to `untilMs`, counted from the start of virtual time. */
  async run(untilMs: number): Promise<void> {
    await this.#runUntil(() => false, untilMs)
    this.#nowMs = Math.max(this.#nowMs, Math.floor(untilMs * ticksPerMs) / ticksPerMs)
  }

  /** Lets `durationMs` pass. */
  advance(durationMs: number): Promise<void> {
    return this.run(this.#nowMs + durationMs)
  }

  /** Lets time pass until the condition holds, for `limitMs` at the most; answers whether it does. */
  async runUntil(condition: () => boolean, limitMs: number): Promise<boolean> {
    return this.#runUntil(condition, this.#nowMs + limitMs)
  }

  async #runUntil(condition: () => boolean, untilMs: number): Promise<boolean> {
    assert(!this.#isRunning, 'virtual time is let run from one place at a time')
    this.#isRunning = true
    try {
      // What follows is a continuation like any other, so that a tick comes after all that are waiting now.
      await null
      for (;;) {
        await settle()
        // A turn is over when nothing is left to do at this moment: neither continuations nor ends of turn.
        while (this.#endOfTurn.length > 0) {
          const callbacks = this.#endOfTurn
          this.#endOfTurn = []
          for (const callback of callbacks) callback()
          await settle()
        }
        if (condition()) return true
        const nextMs = this.#events.nextMs
        if (nextMs > untilMs || nextMs === Number.POSITIVE_INFINITY) return false
        this.#nowMs = nextMs
        if (++this.#eventCount % eventsPerBreath === 0) await takeBreath()
        this.#events.take()?.()
      }
    } finally {
      this.#isRunning = false
    }
  }
}

function isScheduledEvent(timer: TimerHandle): timer is ScheduledEvent {
  return 'atMs' in timer && 'order' in timer && 'callback' in timer
}

/**
 * Waits until every promise continuation has run: a tick that a continuation asks for comes after the last of them. It
 * takes no turn of the event loop, which would cost ten times as much; so whatever lives on virtual time goes on by
 * promises and its timers alone, and uses neither ticks nor immediates.
 */
function settle(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}

/** Lets the event loop turn, for those who live on real time: signals, messages between threads, the timer of a test. */
function takeBreath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
