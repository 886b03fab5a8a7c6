/** How much may be saved up: a quarter of a second's worth, so that no second exceeds the rate by more than that. */
const burstMs = 250
const secondMs = 1000

/**
 * A token bucket that lends: whoever finds it not in debt may take any number of bytes, and the next one waits until
 * that is paid off. So one row larger than the burst passes too, and on average the rate holds. Pure: callers bring
 * the time, in monotonic milliseconds.
 */
export class TokenBucket {
  #bytesPerSecond: number
  #balance = 0
  #atMs: number

  constructor(bytesPerSecond: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond
    this.#atMs = nowMs
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond
  }

  /** From now on; what was saved or lent stays. 0 stops everything. */
  setRate(bytesPerSecond: number, nowMs: number): void {
    this.#refill(nowMs)
    this.#bytesPerSecond = bytesPerSecond
  }

  /** How long to wait before anything can be taken; infinite at a rate of 0. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs)
    if (this.#bytesPerSecond <= 0) return Number.POSITIVE_INFINITY
    return this.#balance >= 0 ? 0 : (-this.#balance / this.#bytesPerSecond) * secondMs
  }

  /** 0: taken. Otherwise nothing was, and it is to be asked for again after so many milliseconds. */
  take(bytes: number, nowMs: number): number {
    const waitMs = this.waitMs(nowMs)
    if (waitMs === 0) this.#balance -= bytes
    return waitMs
  }

  #refill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#atMs)
    this.#atMs = Math.max(this.#atMs, nowMs)
    const burst = (this.#bytesPerSecond * burstMs) / secondMs
    const earned = (this.#bytesPerSecond * elapsedMs) / secondMs
    // What was saved at a higher rate is not taken away when the rate falls.
    this.#balance = Math.max(this.#balance, Math.min(burst, this.#balance + earned))
  }
}
