import { LatencyHistogram } from '../../core/latency-histogram.ts'
import type { Clock } from '../../core/ports.ts'

const slotMs = 250
const slots = 4
/** With fewer the slowest one is no percentile of anything. */
const requestsMin = 10

/** How long the requests of users took within the last second, for the governor of repair. */
export class ForegroundLatency {
  readonly #clock: Clock
  readonly #slots = Array.from({ length: slots }, () => ({
    index: -1,
    histogram: new LatencyHistogram()
  }))

  constructor(clock: Clock) {
    this.#clock = clock
  }

  observe(durationMs: number): void {
    const index = Math.floor(this.#clock.monotonic() / slotMs)
    const slot = this.#slots[index % slots]
    if (slot === undefined) return
    if (slot.index !== index) {
      slot.index = index
      slot.histogram = new LatencyHistogram()
    }
    slot.histogram.observe(durationMs)
  }

  /** Null where there were too few requests to tell. Within a quarter of the true value. */
  percentileMs(fraction: number): number | null {
    const oldest = Math.floor(this.#clock.monotonic() / slotMs) - slots
    const recent = this.#slots.filter(({ index }) => index > oldest)
    const requests = recent.reduce((sum, { histogram }) => sum + histogram.count, 0)
    if (requests < requestsMin) return null
    const merged = new LatencyHistogram()
    merged.count = requests
    for (const { histogram } of recent) {
      histogram.counts.forEach((count, bucket) => {
        merged.counts[bucket] = (merged.counts[bucket] ?? 0) + count
      })
    }
    return merged.percentileMs(fraction)
  }
}
