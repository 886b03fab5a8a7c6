import { LatencyHistogram } from '../../core/latency-histogram.ts'
import type { Clock } from '../../core/ports.ts'

const slotMs = 250
const slots = 4
/** With fewer the slowest one is no percentile of anything. */
const requestsMin = 10

/** How many requests of users there were within the last second, and how long they took: repair gives way to them. */
export class ForegroundLatency {
  readonly #clock: Clock
  readonly #slots = Array.from({ length: slots }, () => ({
    index: -1,
    histogram: new LatencyHistogram(),
    served: 0
  }))

  constructor(clock: Clock) {
    this.#clock = clock
  }

  observe(durationMs: number): void {
    this.#slot?.histogram.observe(durationMs)
  }

  /** A request of another node's user was served; how long its user had to wait is for that node to see. */
  served(): void {
    const slot = this.#slot
    if (slot !== undefined) slot.served++
  }

  /** Of users of this node, and of others for whom it has served other nodes. */
  get requestsPerSecond(): number {
    let requests = 0
    for (const { histogram, served } of this.#recent) requests += histogram.count + served
    return requests
  }

  /** Null where there were too few requests to tell. Within a quarter of the true value. */
  percentileMs(fraction: number): number | null {
    const recent = this.#recent
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

  get #slot() {
    const index = Math.floor(this.#clock.monotonic() / slotMs)
    const slot = this.#slots[index % slots]
    if (slot === undefined || slot.index === index) return slot
    slot.index = index
    slot.histogram = new LatencyHistogram()
    slot.served = 0
    return slot
  }

  get #recent() {
    const oldest = Math.floor(this.#clock.monotonic() / slotMs) - slots
    return this.#slots.filter(({ index }) => index > oldest)
  }
}
