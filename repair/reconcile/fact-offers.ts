import type { FactContent, FactRequest } from './messages.ts'
import type { FactOffer, RangeSide } from './range-side.ts'

/** Facts that go with one message; further ones go with the next. */
const factBytesMax = 128 * 1024

export function idOf({ kind, name }: FactRequest): string {
  return `${kind} ${name}`
}

/** What the peer said last of each partition stands. */
export function mergeOffers(
  before: readonly FactOffer[],
  news: readonly FactOffer[]
): readonly FactOffer[] {
  if (before.length === 0) return news
  const spokenOf = new Map<string, Set<number>>()
  for (const { kind, partitions } of news) {
    const known = spokenOf.get(kind) ?? new Set()
    spokenOf.set(kind, known)
    for (const partition of partitions) known.add(partition)
  }
  const kept = before.map((offer) => ({
    ...offer,
    partitions: offer.partitions.filter((p) => spokenOf.get(offer.kind)?.has(p) !== true)
  }))
  return [...kept.filter(({ partitions }) => partitions.length > 0), ...news]
}

/**
 * Takes in content that was asked for; what nobody offered is left alone. However often a fact is offered or told in one
 * message, it is learned once, for all of its partitions.
 *
 * Errors: as `RangeSide.learn`.
 */
export function learnFacts(
  side: RangeSide,
  peer: string,
  offers: readonly FactOffer[],
  facts: readonly FactContent[]
): void {
  const told = new Map(facts.map((fact) => [idOf(fact), fact]))
  if (told.size === 0) return
  const offered = new Map<string, FactOffer & { readonly partitions: number[] }>()
  for (const offer of offers) {
    const id = idOf(offer)
    if (!told.has(id)) continue
    const known = offered.get(id)
    if (known === undefined) offered.set(id, { ...offer, partitions: [...offer.partitions] })
    else for (const partition of offer.partitions) known.partitions.push(partition)
  }
  for (const [id, { content }] of told) {
    const offer = offered.get(id)
    if (offer !== undefined) side.learn(offer, content, peer)
  }
}

/** The content of what was asked for, as far as it fits one message; `told`: how many of the requests that is. */
export function collectFacts(
  side: RangeSide,
  wanted: readonly FactRequest[]
): { readonly facts: readonly FactContent[]; readonly told: number } {
  const facts: FactContent[] = []
  let bytes = 0
  let told = 0
  for (const { kind, name } of wanted) {
    if (bytes >= factBytesMax) break
    told++
    const content = side.fact(kind, name)
    if (content === null) continue
    bytes += content.length
    facts.push({ kind, name, content })
  }
  return { facts, told }
}

/** What of it is about these partitions. */
export function offersAbout(
  offers: readonly FactOffer[],
  partitions: readonly number[]
): readonly FactOffer[] {
  const wanted = new Set(partitions)
  const about = offers.map((offer) => ({
    ...offer,
    partitions: offer.partitions.filter((partition) => wanted.has(partition))
  }))
  return about.filter((offer) => offer.partitions.length > 0)
}
