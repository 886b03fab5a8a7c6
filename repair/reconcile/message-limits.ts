import { DecodeError } from '../../core/errors.ts'
import { partitionsMax } from '../../ring/token.ts'

/**
 * What one message may hold at the most. Few bytes may stand for an element that takes a hundred times as many in memory,
 * so that a bound by the bytes of the message alone is none. All of them are well above what a node sends: what that is
 * bounded by is said with each.
 */

/** A message that carries no rows: those that come closest name what 65,536 partitions hold, or what a million rows are. */
export const plainBytesMax = 32 * 1024 * 1024

/** Partitions in all offers: those of the table and of the watermarks have room in any cluster. */
export const offeredPartitionsMax = 2 * partitionsMax
/** Each offer is of some partition, but for the one or two of a table that is named whatever it is about. */
export const offersMax = offeredPartitionsMax + 16
/** What was offered is asked for: one table, and a watermark and proofs for each partition. */
export const wantedMax = 3 * partitionsMax
/** Facts go along up to 128 KiB and one more, and hardly any has fewer than 10 bytes. */
export const factsMax = 16_384
/** Nodes that are gone through with one message: 64 KiB of digests, 96 bytes each. */
export const nodesMax = 4096
/** Leaves that are listed with one message: 256. */
export const leavesMax = 4096
/** Rows that travel together, by their bytes: 512 KiB. The wants of one message are 1024. */
export const rowsMax = 16_384
/** Versions that are set aside together: those of 1000 rows. */
export const setAsideMax = 4096
/**
 * Entries of a leaf, and dots, also those in the past of a version: the rows of a quarter of a partition, where the side
 * that asks holds nearly nothing of it.
 */
export const entriesMax = 2 ** 20
export const dotsMax = 2 ** 21

/** Room for what is counted over several lists of one message. */
export class Room {
  readonly #what: string
  #left: number

  constructor(max: number, what: string) {
    this.#left = max
    this.#what = what
  }

  /** Errors: DecodeError where there is no room for so many. */
  take(count: number): void {
    this.#left -= count
    if (this.#left < 0) throw new DecodeError(`a message with too many ${this.#what}`)
  }
}

/** Errors: DecodeError. */
export function checkPlainLength(kind: string, bytes: number): void {
  if (bytes > plainBytesMax) throw new DecodeError(`${bytes} bytes of a message of kind ${kind}`)
}
