/** Count, and four lanes of the digests' sums. */
const lanes = 5

// Snapshots of all trees are taken for every exchange, so their bytes are turned around all at once.
const isLittleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1

/** Bytes of one leaf where it is hashed, compared or written down. */
export const leafBytes = lanes * 4

/**
 * The leaves of a hash tree: for each the number of its rows and the sum of their digests, lane by lane and modulo
 * 2^32, so that a row is added and taken away again in any order (Bellare and Micciancio, "A new paradigm for
 * collision-free hashing", 1997: adding is enough as long as nobody else can compute the digests, hence the key).
 */
export class LeafSums {
  readonly #lanes: Uint32Array

  constructor(leafCount: number) {
    this.#lanes = new Uint32Array(leafCount * lanes)
  }

  /** Errors: RangeError where the bytes are fewer than the leaves. */
  static fromBytes(bytes: Buffer, leafCount: number): LeafSums {
    const sums = new LeafSums(leafCount)
    const length = leafCount * leafBytes
    if (bytes.length < length) throw new RangeError(`${bytes.length} bytes of ${leafCount} leaves`)
    const own = Buffer.from(sums.#lanes.buffer)
    bytes.copy(own, 0, 0, length)
    if (isLittleEndian) own.swap32()
    return sums
  }

  /** `digest`: 16 bytes. */
  add(leaf: number, digest: Uint8Array): void {
    this.#change(leaf, digest, 1)
  }

  /** Exactly what was added before. */
  subtract(leaf: number, digest: Uint8Array): void {
    this.#change(leaf, digest, -1)
  }

  count(leaf: number): number {
    return this.#lanes[leaf * lanes] ?? 0
  }

  isEqual(leaf: number, other: LeafSums, otherLeaf: number): boolean {
    for (let i = 0; i < lanes; i++) {
      if (this.#lanes[leaf * lanes + i] !== other.#lanes[otherLeaf * lanes + i]) return false
    }
    return true
  }

  /** Whether so many leaves from `first` on are what those of `other` are from `otherFirst` on. */
  areEqual(first: number, count: number, other: LeafSums, otherFirst: number): boolean {
    return this.#view(first, count).equals(other.#view(otherFirst, count))
  }

  /** Whether the leaves from `first` up to and without `end` are as they were before the first row. */
  areZero(first: number, end: number): boolean {
    for (let i = first * lanes; i < end * lanes; i++) {
      if (this.#lanes[i] !== 0) return false
    }
    return true
  }

  /** Makes the leaf what another one is. */
  set(leaf: number, other: LeafSums, otherLeaf: number): void {
    const from = otherLeaf * lanes
    this.#lanes.set(other.#lanes.subarray(from, from + lanes), leaf * lanes)
  }

  /** The bytes of the leaves from `first` up to and without `end`: each the count and the lanes, big-endian. */
  toBytes(first: number, end: number): Buffer {
    const bytes = Buffer.from(this.#lanes.slice(first * lanes, end * lanes).buffer)
    return isLittleEndian ? bytes.swap32() : bytes
  }

  #view(first: number, count: number): Buffer {
    const { buffer } = this.#lanes
    return Buffer.from(buffer, first * leafBytes, count * leafBytes)
  }

  #change(leaf: number, digest: Uint8Array, sign: 1 | -1): void {
    const at = leaf * lanes
    this.#lanes[at] = (this.#lanes[at] ?? 0) + sign
    for (let i = 0; i < 4; i++) {
      const lane = laneOf(digest, i * 4)
      this.#lanes[at + 1 + i] = (this.#lanes[at + 1 + i] ?? 0) + sign * lane
    }
  }
}

function laneOf(digest: Uint8Array, at: number): number {
  const high = ((digest[at] ?? 0) << 8) | (digest[at + 1] ?? 0)
  const low = ((digest[at + 2] ?? 0) << 8) | (digest[at + 3] ?? 0)
  return ((high << 16) | low) >>> 0
}
