const headBytes = 8
const alignment = 8
const ways = 4
/** Larger rows are not kept: one would push out dozens. */
const entryBytesMax = 16 * 1024
/** One place in the index for so many bytes: more than there are rows, so that few of them find their places taken. */
const bytesPerPlace = 128
const free = 0

/**
 * Bytes of rows of objects that were read lately, in one block of memory outside of V8's heap: as objects they
 * would take twice as much, and every collection would visit them all. The block is a ring of entries, in which the next
 * one takes the place of the oldest; bytes that fit into the entry that the row has already are written over the old ones.
 *
 *   entry: its length 4 | length of the key 2 | length of the row's bytes 2 | key | bytes | nothing, up to a multiple of 8
 *
 * The index has for each row four places, by its token, which is a hash. Places of other rows are taken away from them
 * where all four are taken, and entries without a place count as gone.
 */
export class RowCache {
  readonly #ring: Buffer
  /** Offsets of entries in units of the alignment. */
  readonly #places: Uint32Array
  readonly #sets: number
  /** Where the next entry goes. */
  #head = alignment
  /** The oldest entries lie between these two, ahead of the next one; those of this round lie behind it. */
  #oldest = alignment
  #oldestEnd = alignment

  constructor(capacityBytes: number) {
    // Memory that nobody has written to yet takes none of the machine's.
    this.#ring = Buffer.allocUnsafeSlow(capacityBytes)
    this.#sets = Math.max(1, Math.ceil(capacityBytes / (bytesPerPlace * ways)))
    this.#places = new Uint32Array(this.#sets * ways)
  }

  /** A copy of the row's bytes; undefined where they are not here. */
  get(rowKey: Buffer): Buffer | undefined {
    const place = this.#placeOf(rowKey)
    if (place < 0) return undefined
    const at = this.#entryAt(place)
    const start = at + headBytes + this.#ring.readUInt16LE(at + 4)
    const length = this.#ring.readUInt16LE(at + 6)
    const bytes = Buffer.allocUnsafe(length)
    this.#ring.copy(bytes, 0, start, start + length)
    return bytes
  }

  set(rowKey: Buffer, bytes: Buffer): void {
    this.#set(rowKey, bytes, this.#placeOf(rowKey))
  }

  /** As `set`, where the row is here. */
  replace(rowKey: Buffer, bytes: Buffer): void {
    const known = this.#placeOf(rowKey)
    if (known >= 0) this.#set(rowKey, bytes, known)
  }

  #set(rowKey: Buffer, bytes: Buffer, known: number): void {
    const length = lengthOf(rowKey, bytes)
    if (known >= 0) {
      const at = this.#entryAt(known)
      if (length <= this.#ring.readUInt32LE(at)) return this.#writeBytes(at, rowKey.length, bytes)
      this.#places[known] = free
    }
    if (length > Math.min(entryBytesMax, this.#ring.length - alignment)) return
    const at = this.#makeRoom(length)
    this.#ring.writeUInt32LE(length, at)
    this.#ring.writeUInt16LE(rowKey.length, at + 4)
    rowKey.copy(this.#ring, at + headBytes)
    this.#writeBytes(at, rowKey.length, bytes)
    this.#places[this.#freePlace(rowKey)] = at / alignment
  }

  delete(rowKey: Buffer): void {
    const place = this.#placeOf(rowKey)
    if (place >= 0) this.#places[place] = free
  }

  clear(): void {
    this.#places.fill(free)
    this.#head = alignment
    this.#oldest = alignment
    this.#oldestEnd = alignment
  }

  #entryAt(place: number): number {
    return (this.#places[place] ?? free) * alignment
  }

  #writeBytes(at: number, keyLength: number, bytes: Buffer): void {
    this.#ring.writeUInt16LE(bytes.length, at + 6)
    bytes.copy(this.#ring, at + headBytes + keyLength)
  }

  /** -1 where the row is not here. */
  #placeOf(rowKey: Buffer): number {
    const first = this.#firstPlace(rowKey, 0)
    for (let place = first; place < first + ways; place++) {
      const at = this.#entryAt(place)
      if (at !== free && this.#isOf(at, rowKey)) return place
    }
    return -1
  }

  #freePlace(rowKey: Buffer): number {
    const first = this.#firstPlace(rowKey, 0)
    for (let place = first; place < first + ways; place++) {
      if (this.#places[place] === free) return place
    }
    return first + ((rowKey[hashOffset - 1] ?? 0) % ways)
  }

  #isOf(at: number, rowKey: Buffer): boolean {
    const { length } = rowKey
    if (this.#ring.readUInt16LE(at + 4) !== length) return false
    const start = at + headBytes
    for (let i = 0; i < length; i++) if (this.#ring[start + i] !== rowKey[i]) return false
    return true
  }

  /** `start`: where in `bytes` the key of the row begins. */
  #firstPlace(bytes: Buffer, start: number): number {
    return (bytes.readUInt32LE(start + hashOffset) % this.#sets) * ways
  }

  #makeRoom(length: number): number {
    if (this.#head + length > this.#ring.length) {
      this.#forgetUpTo(this.#oldestEnd)
      this.#oldest = alignment
      this.#oldestEnd = this.#head
      this.#head = alignment
    }
    this.#forgetUpTo(Math.min(this.#head + length, this.#oldestEnd))
    const at = this.#head
    this.#head += length
    return at
  }

  #forgetUpTo(end: number): void {
    while (this.#oldest < end) {
      const at = this.#oldest
      const first = this.#firstPlace(this.#ring, at + headBytes)
      for (let place = first; place < first + ways; place++) {
        if (this.#entryAt(place) === at) this.#places[place] = free
      }
      this.#oldest += this.#ring.readUInt32LE(at)
    }
  }
}

// The last four bytes of the token; see keys.ts for where it lies.
const hashOffset = 5

function lengthOf(rowKey: Buffer, bytes: Buffer): number {
  const length = headBytes + rowKey.length + bytes.length
  return Math.ceil(length / alignment) * alignment
}
