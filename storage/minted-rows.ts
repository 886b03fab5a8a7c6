import type { ObjectKey } from './keys.ts'

const placesByDefault = 1 << 17
const tagOffset = 0
const placeOffset = 4

/**
 * The counter that this process minted last on each row, for the rows that it minted on lately. A row that does not know
 * of it any more has turned into what it was before, with a checksum that is right: on such a row an actor must not go on,
 * since its vectors would claim what is gone from here, and delete it elsewhere.
 *
 * A row has one place, by its token, which is a hash, and takes it from whichever row had it. Of rows that are not here
 * nothing is known: the scrub finds those. 1.5 MiB, unless there are fewer places.
 */
export class MintedRows {
  readonly #tags: Uint32Array
  readonly #counters: Float64Array

  constructor(places = placesByDefault) {
    this.#tags = new Uint32Array(places)
    this.#counters = new Float64Array(places)
  }

  /** 0 where it is not known. */
  last({ token }: ObjectKey): number {
    const place = this.#placeOf(token)
    return this.#tags[place] === tagOf(token) ? (this.#counters[place] ?? 0) : 0
  }

  note({ token }: ObjectKey, counter: number): void {
    const place = this.#placeOf(token)
    this.#tags[place] = tagOf(token)
    this.#counters[place] = counter
  }

  #placeOf(token: Uint8Array): number {
    return uint32At(token, placeOffset) % this.#tags.length
  }
}

function tagOf(token: Uint8Array): number {
  return uint32At(token, tagOffset)
}

// Byte by byte, since V8 moves the bytes of a fresh digest out of its heap before anybody gets another view of them.
function uint32At(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
  const high = (bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8)
  return ((high << 16) | low) >>> 0
}
