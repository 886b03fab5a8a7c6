import { LatencyHistogram } from '../../core/latency-histogram.ts'

/** What the data requests of the last interval came to. */
export interface RequestFigures {
  /** By operation. */
  readonly perSecond: Readonly<Record<string, number>>
  /** Null where there were none. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

/** Turns what is counted since the start into figures of the time between two looks. */
export class RequestRates {
  readonly #latencies: ReadonlyMap<string, LatencyHistogram>
  readonly #before = new Map<string, { readonly count: number; readonly counts: Float64Array }>()
  #lookedMs = 0

  constructor(latencies: ReadonlyMap<string, LatencyHistogram>) {
    this.#latencies = latencies
  }

  /** From now on. */
  restart(nowMs: number): void {
    this.#lookedMs = nowMs
    for (const [operation, histogram] of this.#latencies) this.#remember(operation, histogram)
  }

  look(nowMs: number): RequestFigures {
    const seconds = Math.max(0.001, (nowMs - this.#lookedMs) / 1000)
    this.#lookedMs = nowMs
    const recent = new LatencyHistogram()
    const perSecond: Record<string, number> = {}
    for (const [operation, histogram] of this.#latencies) {
      const before = this.#before.get(operation)
      const count = histogram.count - (before?.count ?? 0)
      perSecond[operation] = Number((count / seconds).toFixed(1))
      recent.count += count
      histogram.counts.forEach((value, bucket) => {
        const added = value - (before?.counts[bucket] ?? 0)
        recent.counts[bucket] = (recent.counts[bucket] ?? 0) + added
      })
      this.#remember(operation, histogram)
    }
    const isQuiet = recent.count === 0
    return {
      perSecond,
      p50Ms: isQuiet ? null : rounded(recent.percentileMs(0.5)),
      p99Ms: isQuiet ? null : rounded(recent.percentileMs(0.99))
    }
  }

  #remember(operation: string, { count, counts }: LatencyHistogram): void {
    this.#before.set(operation, { count, counts: counts.slice() })
  }
}

function rounded(ms: number): number {
  return Number(ms.toPrecision(3))
}
