import { asBuffer } from '../core/bytes.ts'
import type { ObjectKey } from './keys.ts'

const places = 1 << 17
const tagOffset = 0
const placeOffset = 4

/**
 * The counter that this process minted last on each row, for the rows that it minted on lately. A row that does not know
 * of it any more has turned into what it was before, with a checksum that is right: on such a row an actor must not go on,
 * since its vectors would claim what is gone from here, and delete it elsewhere.
 *
 * A row has one place, by its token, which is a hash, and takes it from whichever row had it. Of rows that are not here
 * nothing is known: the scrub finds those. 1.5 MiB.
 */
export class MintedRows {
  readonly #tags = new Uint32Array(places)
  readonly #counters = new Float64Array(places)

  /** 0 where it is not known. */
  last({ token }: ObjectKey): number {
    const place = placeOf(token)
    return this.#tags[place] === tagOf(token) ? (this.#counters[place] ?? 0) : 0
  }

  note({ token }: ObjectKey, counter: number): void {
    const place = placeOf(token)
    this.#tags[place] = tagOf(token)
    this.#counters[place] = counter
  }
}

function placeOf(token: Uint8Array): number {
  return asBuffer(token).readUInt32LE(placeOffset) % places
}

function tagOf(token: Uint8Array): number {
  return asBuffer(token).readUInt32LE(tagOffset)
}
