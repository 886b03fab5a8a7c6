import type { Clock, TimerHandle, Timers } from '../core/ports.ts'
import { TokenBucket } from './token-bucket.ts'

export interface ThrottleOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly bytesPerSecond: number
}

interface Waiter {
  readonly bytes: number
  readonly resolve: () => void
}

/** Hands out the bytes of a token bucket in the order in which they are asked for. The thin shell around the bucket. */
export class Throttle {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #bucket: TokenBucket
  #waiters: Waiter[] = []
  #timer: TimerHandle | null = null
  #passedBytes = 0
  #closed = false

  constructor({ clock, timers, bytesPerSecond }: ThrottleOptions) {
    this.#clock = clock
    this.#timers = timers
    this.#bucket = new TokenBucket(bytesPerSecond, clock.monotonic())
  }

  get bytesPerSecond(): number {
    return this.#bucket.bytesPerSecond
  }

  /** Bytes that were let through since the start. */
  get passedBytes(): number {
    return this.#passedBytes
  }

  get waiting(): number {
    return this.#waiters.length
  }

  /** 0 holds everybody until there is a rate again. */
  setRate(bytesPerSecond: number): void {
    if (bytesPerSecond === this.#bucket.bytesPerSecond) return
    this.#bucket.setRate(bytesPerSecond, this.#clock.monotonic())
    this.#serve()
  }

  /** Resolves once so many bytes may be sent. */
  pass(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ bytes, resolve })
      if (this.#timer === null) this.#serve()
    })
  }

  /** Lets everybody through who waits: whoever is stopping finds out by itself that there is nothing to do. */
  close(): void {
    this.#closed = true
    this.#serve()
  }

  #serve(): void {
    if (this.#timer !== null) this.#timers.clear(this.#timer)
    this.#timer = null
    let served = 0
    for (const { bytes, resolve } of this.#waiters) {
      const waitMs = this.#closed ? 0 : this.#bucket.take(bytes, this.#clock.monotonic())
      if (waitMs > 0) {
        if (waitMs < Number.POSITIVE_INFINITY) this.#serveIn(waitMs)
        break
      }
      served++
      this.#passedBytes += bytes
      resolve()
    }
    this.#waiters = this.#waiters.slice(served)
  }

  #serveIn(waitMs: number): void {
    this.#timer = this.#timers.set(() => {
      this.#timer = null
      this.#serve()
    }, Math.ceil(waitMs))
  }
}
