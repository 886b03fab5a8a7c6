import type { SeededRandom } from './seeded-random.ts'
import type { Path } from './sim-wire.ts'

export interface LatencyRange {
  readonly minMs: number
  readonly maxMs: number
}

/** A cut from its beginning to its end; a later cut of the same direction is another. */
export interface Cut {
  lasts(): boolean
}

/** Which nodes reach each other at the moment, in which direction, and how fast. */
export class SimTopology {
  readonly #random: SeededRandom
  readonly #defaultLatency: LatencyRange
  readonly #latencies = new Map<string, LatencyRange>()
  readonly #cuts = new Map<string, Cut>()
  /** Nodes that take nothing off the wire. */
  readonly #paused = new Set<string>()

  constructor(random: SeededRandom, defaultLatency: LatencyRange) {
    this.#random = random
    this.#defaultLatency = defaultLatency
  }

  setLatency(a: string, b: string, latency: LatencyRange): void {
    this.#latencies.set(direction(a, b), latency)
    this.#latencies.set(direction(b, a), latency)
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(direction(from, to))
  }

  /** Null where the direction is cut already. */
  cut(from: string, to: string): Cut | null {
    const key = direction(from, to)
    if (this.#cuts.has(key)) return null
    const cut: Cut = { lasts: () => this.#cuts.get(key) === cut }
    this.#cuts.set(key, cut)
    return cut
  }

  heal(a: string, b: string): void {
    this.#cuts.delete(direction(a, b))
    this.#cuts.delete(direction(b, a))
  }

  healAll(): void {
    this.#cuts.clear()
  }

  pause(node: string): void {
    this.#paused.add(node)
  }

  resume(node: string): void {
    this.#paused.delete(node)
  }

  isPaused(node: string): boolean {
    return this.#paused.has(node)
  }

  path(from: string, to: string): Path {
    const key = direction(from, to)
    return {
      isCut: () => this.#cuts.has(key) || this.#paused.has(to),
      latencyMs: () => {
        const { minMs, maxMs } = this.#latencies.get(key) ?? this.#defaultLatency
        return this.#random.between(minMs, maxMs)
      }
    }
  }
}

function direction(from: string, to: string): string {
  return JSON.stringify([from, to])
}
