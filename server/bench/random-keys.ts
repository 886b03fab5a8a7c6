/** Answers with the next key to use, or with -1 when there are no more. */
export type KeySource = () => number

/** What the keys of a run are; the same selection gives every connection the same keys in the same order. */
export type KeySelection =
  | { readonly kind: 'random'; readonly count: number; readonly seed: number }
  | { readonly kind: 'each'; readonly from: number; readonly to: number }

/**
 * Mulberry32 by Tommy Ettinger: numbers in [0, 1) that depend on nothing but the seed, so that a run can be repeated key
 * by key.
 */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A seed for one part of a whole, far away from those of the other parts. */
export function seedOf(seed: number, part: number): number {
  return (Math.imul(seed, 0x9e3779b1) ^ Math.imul(part + 1, 0x85ebca6b)) >>> 0
}

/**
 * One key source for each connection. Random keys are drawn by each connection from a sequence of its own, whatever the
 * others do meanwhile; `each` hands every key of [from, to) to whichever connection asks first, and to one only.
 */
export function createKeySources(
  selection: KeySelection,
  connections: { readonly first: number; readonly count: number }
): KeySource[] {
  const sources: KeySource[] = []
  let next = selection.kind === 'each' ? selection.from : 0
  for (let i = 0; i < connections.count; i++) {
    if (selection.kind === 'each') {
      sources.push(() => (next < selection.to ? next++ : -1))
    } else {
      const random = createRandom(seedOf(selection.seed, connections.first + i))
      sources.push(() => Math.floor(random() * selection.count))
    }
  }
  return sources
}
