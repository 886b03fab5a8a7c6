import type { RandomSource } from '../../core/ports.ts'

/** Randomness that is the same for the same seed, so that whatever it led to can be led to again. */
export interface SeededRandom extends RandomSource {
  /** An integer in [0, limit). */
  below(limit: number): number
}

/** Xorshift with 32 bits of state (Marsaglia 2003): weak, quick, and all that choosing between events needs. */
export function seededRandom(seed: number): SeededRandom {
  let state = Math.imul(seed, 2654435761) >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  return {
    below: (limit) => next() % limit,
    fraction: () => next() / 0x1_0000_0000,
    bytes: (length) => Uint8Array.from({ length }, () => next() >>> 24)
  }
}
