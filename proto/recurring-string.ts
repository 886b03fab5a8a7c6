import { decodeText, equalBytes } from '../core/bytes.ts'
import { type FieldReader, noBytes } from './wire-format.ts'

/**
 * A string field that nearly always says what it said the last time, as the epoch of the ring does in every frame: it is
 * turned into bytes, and bytes into it, only where it has changed.
 */
export class RecurringString {
  #written = ''
  #writtenBytes: Uint8Array = noBytes
  #read = ''
  #readBytes: Uint8Array = noBytes

  /** The string as UTF-8. */
  bytesOf(value: string): Uint8Array {
    if (value !== this.#written) {
      this.#writtenBytes = Buffer.from(value)
      this.#written = value
    }
    return this.#writtenBytes
  }

  /** As `FieldReader.string`. Errors: DecodeError where the field is no string, or not UTF-8. */
  read(fields: FieldReader): string {
    const bytes = fields.bytes()
    if (equalBytes(bytes, this.#readBytes)) return this.#read
    const text = decodeText(bytes)
    // A copy of what is short: the bytes are a view of the whole message.
    if (bytes.length <= keptBytesMax) {
      this.#readBytes = Uint8Array.prototype.slice.call(bytes)
      this.#read = text
    }
    return text
  }
}

const keptBytesMax = 64
