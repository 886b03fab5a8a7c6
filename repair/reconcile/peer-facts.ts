import { collectFacts, idOf, learnFacts, mergeOffers } from './fact-offers.ts'
import type { FactContent, FactRequest } from './messages.ts'
import type { FactName, FactOffer, RangeSide } from './range-side.ts'

/** What the peer of a session said that it knows, on the side that was asked. */
export class PeerFacts {
  readonly #side: RangeSide
  readonly #peer: string
  #offers: readonly FactOffer[] = []
  readonly #watermarkOf = new Map<number, FactName>()

  constructor(side: RangeSide, peer: string) {
    this.#side = side
    this.#peer = peer
  }

  offered(offers: readonly FactOffer[]): void {
    this.#offers = mergeOffers(this.#offers, offers)
    this.#watermarkOf.clear()
    for (const { name, partitions } of this.watermarks) {
      for (const partition of partitions) this.#watermarkOf.set(partition, name)
    }
  }

  get watermarks(): readonly FactOffer[] {
    return this.#offers.filter(({ kind }) => kind === 'watermark')
  }

  /** The peer's watermark of a partition, by name. */
  watermarkOf(partition: number): FactName | null {
    return this.#watermarkOf.get(partition) ?? null
  }

  /** Takes in content that was asked for; what nobody offered is left alone. Errors: as `RangeSide.learn`. */
  learn(facts: readonly FactContent[]): void {
    learnFacts(this.#side, this.#peer, this.#offers, facts)
  }

  /** What was offered and is not known here yet. */
  lacking(): FactRequest[] {
    const lacking = new Map<string, FactRequest>()
    for (const offer of this.#offers) {
      if (this.#side.knows(offer)) continue
      lacking.set(idOf(offer), { kind: offer.kind, name: offer.name })
    }
    return [...lacking.values()]
  }

  /** The content that the peer asks for, as far as it fits one message. */
  collect(wanted: readonly FactRequest[]): readonly FactContent[] {
    return collectFacts(this.#side, wanted).facts
  }
}
