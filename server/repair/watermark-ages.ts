import type { Clock } from '../../core/ports.ts'

/**
 * Since when each watermark may have been held up: since it last rose, or was last seen not to be held up. An upper
 * bound, which is as close as the looks are.
 */
export class WatermarkAges {
  readonly #clock: Clock
  readonly #startedMs: number
  readonly #sinceMs = new Map<number, number>()

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.monotonic()
  }

  get nowMs(): number {
    return this.#clock.monotonic()
  }

  rose(partitions: readonly number[]): void {
    const nowMs = this.#clock.monotonic()
    for (const partition of partitions) this.#sinceMs.set(partition, nowMs)
  }

  seenCurrent(partition: number): void {
    this.#sinceMs.set(partition, this.#clock.monotonic())
  }

  heldUpSeconds(partition: number): number {
    const sinceMs = this.#sinceMs.get(partition) ?? this.#startedMs
    return (this.#clock.monotonic() - sinceMs) / 1000
  }
}
