import { MinimumTracker } from './minimum-tracker.ts'
import type { Versions } from './version.ts'
import { type Incarnation, incarnationOf } from './version-vector.ts'

/** What waits for one target. */
export interface HintBacklog {
  readonly target: string
  readonly count: number
  readonly bytes: number
  /** How long the oldest of them has waited. */
  readonly oldestMs: number
}

/** What the index knows of one hint. */
export interface IndexedHint {
  readonly target: string
  readonly partition: number
  readonly bytes: number
  readonly storedMs: number
  readonly versions: Versions
}

interface Totals {
  count: number
  bytes: number
  readonly stored: MinimumTracker
}

type DotsOfPartition = Map<Incarnation, MinimumTracker>

/**
 * Exact sums over all hints, kept up with every change, so that nobody has to walk them: the backlog of each target, and
 * for each partition and incarnation the least counter that hints still hold.
 */
export class HintIndex {
  readonly #targets = new Map<string, Totals>()
  readonly #dots = new Map<number, DotsOfPartition>()

  add(hint: IndexedHint): void {
    const totals = this.#targets.get(hint.target) ?? this.#newTarget(hint.target)
    totals.count++
    totals.bytes += hint.bytes
    totals.stored.add(hint.storedMs)
    const dots = this.#dots.get(hint.partition) ?? this.#newPartition(hint.partition)
    for (const { dot } of hint.versions) {
      const incarnation = incarnationOf(dot.actor)
      let counters = dots.get(incarnation)
      if (counters === undefined) {
        counters = new MinimumTracker()
        dots.set(incarnation, counters)
      }
      counters.add(dot.counter)
    }
  }

  /** Exactly what was added before. */
  remove(hint: IndexedHint): void {
    const totals = this.#targets.get(hint.target)
    if (totals !== undefined) {
      totals.count--
      totals.bytes -= hint.bytes
      totals.stored.remove(hint.storedMs)
      if (totals.count <= 0) this.#targets.delete(hint.target)
    }
    const dots = this.#dots.get(hint.partition)
    if (dots === undefined) return
    for (const { dot } of hint.versions) {
      const incarnation = incarnationOf(dot.actor)
      const counters = dots.get(incarnation)
      counters?.remove(dot.counter)
      if (counters?.size === 0) dots.delete(incarnation)
    }
    if (dots.size === 0) this.#dots.delete(hint.partition)
  }

  clear(): void {
    this.#targets.clear()
    this.#dots.clear()
  }

  get targets(): readonly string[] {
    return [...this.#targets.keys()]
  }

  bytesOf(target: string): number {
    return this.#targets.get(target)?.bytes ?? 0
  }

  has(target: string): boolean {
    return this.#targets.has(target)
  }

  backlog(nowMs: number): HintBacklog[] {
    return [...this.#targets].map(([target, { count, bytes }]) => ({
      target,
      count,
      bytes,
      oldestMs: this.oldestMs(target, nowMs) ?? 0
    }))
  }

  oldestMs(target: string, nowMs: number): number | null {
    const storedMs = this.#targets.get(target)?.stored.minimum() ?? null
    return storedMs === null ? null : Math.max(0, nowMs - storedMs)
  }

  /** For each partition the least counter among the hints, of each of these incarnations that has any. */
  leastDots(
    incarnations: ReadonlySet<Incarnation>
  ): ReadonlyMap<number, ReadonlyMap<Incarnation, number>> {
    const partitions = new Map<number, ReadonlyMap<Incarnation, number>>()
    for (const [partition, dots] of this.#dots) {
      const least = new Map<Incarnation, number>()
      for (const [incarnation, counters] of dots) {
        const minimum = incarnations.has(incarnation) ? counters.minimum() : null
        if (minimum !== null) least.set(incarnation, minimum)
      }
      if (least.size > 0) partitions.set(partition, least)
    }
    return partitions
  }

  #newTarget(target: string): Totals {
    const totals = { count: 0, bytes: 0, stored: new MinimumTracker() }
    this.#targets.set(target, totals)
    return totals
  }

  #newPartition(partition: number): DotsOfPartition {
    const dots: DotsOfPartition = new Map()
    this.#dots.set(partition, dots)
    return dots
  }
}
