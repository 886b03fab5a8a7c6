import type { RandomSource } from '../../core/ports.ts'

/**
 * Random numbers that a seed determines: sfc32 by Chris Doty-Humphrey, which is fast, passes the usual test batteries,
 * and has no cycle shorter than 2^32 numbers. Not for secrets.
 */
export class SeededRandom implements RandomSource {
  /** Where this generator comes from: the seed and the names it was forked by. */
  readonly origin: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number | string) {
    this.origin = String(seed)
    this.#a = fnv1a(this.origin, 0x811c9dc5)
    this.#b = fnv1a(this.origin, this.#a ^ 0x9e3779b9)
    this.#c = fnv1a(this.origin, this.#b ^ 0x85ebca6b)
    // The first numbers after seeding still resemble the seed.
    for (let i = 0; i < 15; i++) this.uint32()
  }

  /**
   * A generator of its own for one part of a run. It depends on the seed and the names alone, not on how much was drawn
   * before, so that one part that changes leaves the others as they were.
   */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.origin}/${name}`)
  }

  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** A number in [0, 1), of 53 random bits. */
  fraction(): number {
    return ((this.uint32() >>> 5) * 2 ** 26 + (this.uint32() >>> 6)) / 2 ** 53
  }

  /** An integer in [0, n). */
  int(n: number): number {
    return Math.floor(this.fraction() * n)
  }

  /** A number in [min, max). */
  between(min: number, max: number): number {
    return min + this.fraction() * (max - min)
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** Errors: RangeError where there is nothing to pick from. */
  pick<T>(items: readonly T[]): T {
    const index = this.int(items.length)
    for (const item of items.slice(index, index + 1)) return item
    throw new RangeError('nothing to pick from')
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i += 4) {
      const word = this.uint32()
      for (let j = i; j < i + 4 && j < length; j++) bytes[j] = word >>> (8 * (j - i))
    }
    return bytes
  }
}

/** FNV-1a over the characters of a string, with a finish that spreads its last ones over all bits. */
function fnv1a(text: string, basis: number): number {
  let hash = basis
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
