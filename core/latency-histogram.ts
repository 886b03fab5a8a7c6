/**
 * Counts durations in buckets that grow by a fixed factor: constant memory, a few nanoseconds an observation, and
 * percentiles within the width of a bucket. Recent observations weigh more where `decay` is called now and then.
 */
export class LatencyHistogram {
  /** Upper bounds in milliseconds; the last bucket has none. */
  readonly boundsMs: readonly number[]
  readonly counts: Float64Array
  sumMs = 0
  count = 0

  constructor(minMs = 0.1, maxMs = 60_000, factor = 1.25) {
    const bounds: number[] = []
    for (let bound = minMs; bound < maxMs; bound *= factor) bounds.push(bound)
    this.boundsMs = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(durationMs: number): void {
    const bucket = this.#bucketOf(durationMs)
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sumMs += durationMs
    this.count += 1
  }

  /** The duration that `fraction` of the observations stay within; 0 where there are none. */
  percentileMs(fraction: number): number {
    if (this.count < 1) return 0
    const wanted = this.count * fraction
    let seen = 0
    for (let bucket = 0; bucket < this.boundsMs.length; bucket++) {
      seen += this.counts[bucket] ?? 0
      if (seen >= wanted) return this.boundsMs[bucket] ?? 0
    }
    return this.boundsMs.at(-1) ?? 0
  }

  /** Halves the weight of everything observed so far. */
  decay(): void {
    this.counts.forEach((count, bucket) => {
      this.counts[bucket] = count / 2
    })
    this.sumMs /= 2
    this.count /= 2
  }

  #bucketOf(durationMs: number): number {
    let low = 0
    let high = this.boundsMs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (durationMs <= (this.boundsMs[middle] ?? 0)) high = middle
      else low = middle + 1
    }
    return low
  }
}
