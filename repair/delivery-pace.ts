import type { RandomSource } from '../core/ports.ts'
import { backoffMs } from './backoff.ts'

/**
 * What became of one hint that was sent. `refused`: this one is not taken for now, others may be. `pushedBack`: the
 * other side has too much to do, no room, or cannot be reached, so that nothing more is to be sent for a while.
 */
export type DeliveryVerdict = 'acknowledged' | 'refused' | 'pushedBack'

const windowStart = 8
const windowMax = 128
const bytesInFlightMax = 4 * 1024 * 1024
const refusedInRowMax = 64
const backoffLimits = { minMs: 250, maxMs: 30_000 }

/**
 * How fast hints go to one target: additive increase while it acknowledges, multiplicative decrease and a pause where
 * it pushes back (as TCP does, Chiu and Jain 1989). A node that has just come back is loaded by everybody at once.
 */
export class DeliveryPace {
  #window = windowStart
  #inFlight = 0
  #bytesInFlight = 0
  /** Sent since nothing was in flight. */
  #burst = 0
  #failures = 0
  #refusedInRow = 0
  #resumeAtMs = 0

  get inFlight(): number {
    return this.#inFlight
  }

  /** Requests that may be in flight. */
  get window(): number {
    return Math.floor(this.#window)
  }

  /** Monotonic time before which nothing is sent. */
  get resumeAtMs(): number {
    return this.#resumeAtMs
  }

  isPausing(nowMs: number): boolean {
    return nowMs < this.#resumeAtMs
  }

  /** One hint may always be in flight, however large. */
  get hasRoom(): boolean {
    if (this.#inFlight === 0) return true
    return this.#inFlight < this.window && this.#bytesInFlight < bytesInFlightMax
  }

  /** As `hasRoom` where no more than so many go out together, and the next ones when all of these are back. */
  hasRoomInBurst(max: number): boolean {
    if (this.#inFlight === 0) return true
    return this.#burst < Math.min(max, this.window) && this.hasRoom
  }

  /** Whether nothing else was in flight at any time while the last one was. */
  get wentAlone(): boolean {
    return this.#burst === 1
  }

  sent(bytes: number): void {
    this.#burst = this.#inFlight === 0 ? 1 : this.#burst + 1
    this.#inFlight++
    this.#bytesInFlight += bytes
  }

  heard(verdict: DeliveryVerdict, bytes: number, nowMs: number, random: RandomSource): void {
    this.#inFlight--
    this.#bytesInFlight -= bytes
    if (verdict === 'acknowledged') {
      this.#failures = 0
      this.#refusedInRow = 0
      this.#window = Math.min(windowMax, this.#window + 1 / this.#window)
      return
    }
    if (verdict === 'refused' && ++this.#refusedInRow < refusedInRowMax) return
    // All that was in flight together fails together, and is one failure.
    if (this.isPausing(nowMs)) return
    this.#window = Math.max(1, this.#window / 2)
    this.rest(nowMs, random)
  }

  /** Nothing is sent for a while, which grows until something is acknowledged again. */
  rest(nowMs: number, random: RandomSource): void {
    this.#refusedInRow = 0
    this.#resumeAtMs = nowMs + backoffMs(++this.#failures, backoffLimits, random)
  }

  /** Somebody wants it now. */
  hurry(): void {
    this.#resumeAtMs = 0
  }
}
