import type { FactContent, FactRequest } from './messages.ts'
import type { FactName, FactOffer, RangeSide } from './range-side.ts'
import { factBytesMax, mergeOffers } from './session-context.ts'

/** What the peer of a session said that it knows, on the side that was asked. */
export class PeerFacts {
  readonly #side: RangeSide
  readonly #peer: string
  #offers: readonly FactOffer[] = []

  constructor(side: RangeSide, peer: string) {
    this.#side = side
    this.#peer = peer
  }

  offered(offers: readonly FactOffer[]): void {
    this.#offers = mergeOffers(this.#offers, offers)
  }

  get watermarks(): readonly FactOffer[] {
    return this.#offers.filter(({ kind }) => kind === 'watermark')
  }

  /** The peer's watermark of a partition, by name. */
  watermarkOf(partition: number): FactName | null {
    const offer = this.watermarks.find(({ partitions }) => partitions.includes(partition))
    return offer?.name ?? null
  }

  /** Takes in content that was asked for; what nobody offered is left alone. Errors: as `RangeSide.learn`. */
  learn(facts: readonly FactContent[]): void {
    for (const { kind, name, content } of facts) {
      for (const offer of this.#offers) {
        if (offer.kind === kind && offer.name === name) this.#side.learn(offer, content, this.#peer)
      }
    }
  }

  /** What was offered and is not known here yet. */
  lacking(): FactRequest[] {
    const lacking = new Map<string, FactRequest>()
    for (const offer of this.#offers) {
      if (this.#side.knows(offer)) continue
      lacking.set(`${offer.kind} ${offer.name}`, { kind: offer.kind, name: offer.name })
    }
    return [...lacking.values()]
  }

  /** The content that the peer asks for, as far as it fits one message. */
  collect(wanted: readonly FactRequest[]): FactContent[] {
    const facts: FactContent[] = []
    let bytes = 0
    for (const { kind, name } of wanted) {
      const content = bytes < factBytesMax ? this.#side.fact(kind, name) : null
      if (content === null) continue
      bytes += content.length
      facts.push({ kind, name, content })
    }
    return facts
  }
}
