import { type Dot, type Incarnation, incarnationOf } from '../storage/version-vector.ts'
import type { HintedDots } from './report-table.ts'
import { WritesUnderWay } from './writes-under-way.ts'

type Least = Map<Incarnation, Map<number, number>>

/** What one member keeps as hints of this node's writes. */
interface Holder {
  /** Handed to it since it was last asked. */
  since: Least
  /** What it has said, and, while it is being asked, what was handed to it before. */
  said: Least
  /** Of which incarnations it has said something since this node started. */
  readonly answered: Set<Incarnation>
  asking: boolean
}

/**
 * What other members may still keep as hints of what this node has minted. A write that only this node's row and a hint
 * elsewhere hold has not come to stay: if this node lost its disk, and its report had passed the write, the hint would be
 * taken for something that everybody had once and has let go.
 */
export class HintsElsewhere {
  readonly #underWay = new WritesUnderWay()
  readonly #holders = new Map<string, Holder>()

  /** A write is minted; until `ended` nobody knows who will have to keep it. */
  begun(dot: Dot): void {
    this.#underWay.begin(incarnationOf(dot.actor), dot.counter)
  }

  ended(dot: Dot): void {
    this.#underWay.end(incarnationOf(dot.actor), dot.counter)
  }

  /** `holder` has confirmed that it keeps the write for a replica. */
  kept(holder: string, partition: number, { actor, counter }: Dot): void {
    note(this.#holder(holder).since, incarnationOf(actor), partition, counter)
  }

  /**
   * The holder is about to be asked what its hints hold of these incarnations. Answers with what to call then, with null
   * where there was no answer; null itself where it is being asked already.
   */
  ask(
    id: string,
    incarnations: readonly Incarnation[]
  ): ((answer: HintedDots | null) => void) | null {
    const holder = this.#holder(id)
    if (holder.asking) return null
    holder.asking = true
    const before = join(holder.said, holder.since)
    holder.said = before
    holder.since = new Map()
    return (answer) => {
      holder.asking = false
      if (answer === null) return
      const said: Least = new Map(before)
      for (const incarnation of incarnations) {
        said.delete(incarnation)
        holder.answered.add(incarnation)
      }
      for (const [partition, dots] of answer) {
        for (const [incarnation, counter] of dots) note(said, incarnation, partition, counter)
      }
      holder.said = said
    }
  }

  /** Whether each of these members has said since the start of this node what its hints hold of the incarnation. */
  isKnownOf(incarnation: Incarnation, members: readonly string[]): boolean {
    return members.every((id) => this.#holders.get(id)?.answered.has(incarnation) === true)
  }

  /** The counter up to which all writes of the incarnation have found their places; `counter` where none is under way. */
  settledUpTo(incarnation: Incarnation, counter: number): number {
    return this.#underWay.least(incarnation, counter + 1) - 1
  }

  /** The least counters that these members keep, by partition. */
  least(incarnations: ReadonlySet<Incarnation>, members: readonly string[]): HintedDots {
    const found = new Map<number, Map<Incarnation, number>>()
    for (const id of members) {
      const holder = this.#holders.get(id)
      if (holder === undefined) continue
      for (const least of [holder.said, holder.since]) {
        for (const [incarnation, counters] of least) {
          if (incarnations.has(incarnation)) {
            for (const [partition, counter] of counters) {
              lower(found, partition, incarnation, counter)
            }
          }
        }
      }
    }
    return found
  }

  #holder(id: string): Holder {
    const known = this.#holders.get(id)
    if (known !== undefined) return known
    const holder: Holder = { since: new Map(), said: new Map(), answered: new Set(), asking: false }
    this.#holders.set(id, holder)
    return holder
  }
}

/** The lesser number of two sources, wherever both have one. */
export function meetHintedDots(a: HintedDots, b: HintedDots): HintedDots {
  if (a.size === 0) return b
  if (b.size === 0) return a
  const met = new Map<number, Map<Incarnation, number>>()
  for (const dots of [a, b]) {
    for (const [partition, counters] of dots) {
      for (const [incarnation, counter] of counters) lower(met, partition, incarnation, counter)
    }
  }
  return met
}

function lower(
  dots: Map<number, Map<Incarnation, number>>,
  partition: number,
  incarnation: Incarnation,
  counter: number
): void {
  let counters = dots.get(partition)
  if (counters === undefined) {
    counters = new Map()
    dots.set(partition, counters)
  }
  counters.set(incarnation, Math.min(counter, counters.get(incarnation) ?? counter))
}

function note(least: Least, incarnation: Incarnation, partition: number, counter: number): void {
  let counters = least.get(incarnation)
  if (counters === undefined) {
    counters = new Map()
    least.set(incarnation, counters)
  }
  counters.set(partition, Math.min(counter, counters.get(partition) ?? counter))
}

function join(a: Least, b: Least): Least {
  const joined: Least = new Map()
  for (const least of [a, b]) {
    for (const [incarnation, counters] of least) {
      for (const [partition, counter] of counters) note(joined, incarnation, partition, counter)
    }
  }
  return joined
}
