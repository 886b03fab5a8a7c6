import type { Incarnation } from '../storage/version-vector.ts'

const slotsAtFirst = 64

/** The counters of writes that have begun and not ended, by incarnation. They begin in the order of their numbers. */
export class WritesUnderWay {
  readonly #spans = new Map<Incarnation, Span>()

  begin(incarnation: Incarnation, counter: number): void {
    let span = this.#spans.get(incarnation)
    if (span === undefined) {
      span = new Span()
      this.#spans.set(incarnation, span)
    }
    span.begin(counter)
  }

  end(incarnation: Incarnation, counter: number): void {
    this.#spans.get(incarnation)?.end(counter)
  }

  /** The least counter of a write under way; `otherwise` where there is none. */
  least(incarnation: Incarnation, otherwise: number): number {
    return this.#spans.get(incarnation)?.least ?? otherwise
  }
}

/** From the oldest write that has not ended to the newest, a flag for each, in a ring that grows as it has to. */
class Span {
  #open = new Uint8Array(slotsAtFirst)
  #first = 1
  #next = 1

  get least(): number | null {
    return this.#first < this.#next ? this.#first : null
  }

  begin(counter: number): void {
    if (this.#first === this.#next) this.#first = counter
    while (counter - this.#first >= this.#open.length) this.#grow()
    this.#open[counter % this.#open.length] = 1
    this.#next = counter + 1
  }

  end(counter: number): void {
    if (counter < this.#first || counter >= this.#next) return
    this.#open[counter % this.#open.length] = 0
    while (this.#first < this.#next && this.#open[this.#first % this.#open.length] === 0) {
      this.#first++
    }
  }

  #grow(): void {
    const open = new Uint8Array(2 * this.#open.length)
    for (let counter = this.#first; counter < this.#next; counter++) {
      open[counter % open.length] = this.#open[counter % this.#open.length] ?? 0
    }
    this.#open = open
  }
}
