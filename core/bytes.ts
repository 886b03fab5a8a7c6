import { DecodeError } from './errors.ts'

/** Lexicographic order of unsigned bytes: the order in which the database keeps its keys. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b)
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  if (a.length > loopedBytesMax) return Buffer.compare(a, b) === 0
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

// Up to the length of a digest, a call out of JavaScript takes longer than the comparison.
const loopedBytesMax = 32

export function toHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex')
}

/** A Buffer over the same memory, for the methods that Uint8Array lacks. */
export function asBuffer(bytes: Uint8Array): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Errors: DecodeError where the bytes are not UTF-8. */
export function decodeText(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  // What cannot be decoded becomes U+FFFD, which may also stand there by right.
  if (text.includes('\ufffd') && !equalBytes(Buffer.from(text), bytes)) {
    throw new DecodeError('text that is not UTF-8')
  }
  return text
}

/** The room that a writer makes for a varint, which takes no more than that. */
export const varintRoom = 8

/** Bytes that a varint takes: an unsigned integer below 2^53. */
export function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 128)) length++
  return length
}

const initialCapacity = 256

/**
 * Appends to one growing buffer. Varints are little-endian base 128, as in protobuf, so that one writer serves the
 * row codec and the wire codec.
 */
export class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(capacity = initialCapacity) {
    this.#buffer = Buffer.allocUnsafe(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** The bytes written so far, in memory of their own size or larger; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  uint8(value: number): this {
    this.#grow(1)
    this.#buffer[this.#length++] = value
    return this
  }

  uint32(value: number): this {
    this.#grow(4)
    this.#length = this.#buffer.writeUInt32BE(value >>> 0, this.#length)
    return this
  }

  /** An unsigned integer below 2^48, big-endian, so that the order of bytes is the order of numbers. */
  uint48(value: number): this {
    this.#grow(6)
    this.#length = this.#buffer.writeUIntBE(value, this.#length, 6)
    return this
  }

  /** An unsigned integer below 2^53. */
  varint(value: number): this {
    this.#grow(varintRoom)
    let rest = value
    while (rest > 0x7fffffff) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#buffer[this.#length++] = rest
    return this
  }

  bytes(value: Uint8Array): this {
    this.#grow(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
    return this
  }

  lengthPrefixed(value: Uint8Array): this {
    return this.varint(value.length).bytes(value)
  }

  latin1(value: string): this {
    this.#grow(value.length)
    this.#length += this.#buffer.write(value, this.#length, 'latin1')
    return this
  }

  /** A length-prefixed UTF-8 string. */
  string(value: string): this {
    const length = Buffer.byteLength(value)
    this.varint(length)
    this.#grow(length)
    this.#length += this.#buffer.write(value, this.#length, 'utf8')
    return this
  }

  #grow(needed: number): void {
    const wanted = this.#length + needed
    if (wanted <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(wanted, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** Reads what ByteWriter wrote. Errors: DecodeError wherever the bytes end early or a number is out of range. */
export class ByteReader {
  readonly #buffer: Buffer
  #offset: number
  readonly #end: number

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.#buffer = asBuffer(bytes)
    this.#offset = offset
    this.#end = end
  }

  get offset(): number {
    return this.#offset
  }

  get remaining(): number {
    return this.#end - this.#offset
  }

  uint8(): number {
    const at = this.#take(1)
    return this.#buffer[at] as number
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  uint48(): number {
    return this.#buffer.readUIntBE(this.#take(6), 6)
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.uint8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) throw new DecodeError('a number above 2^53')
        if (byte === 0 && i > 0) throw new DecodeError('a number that is padded with zeros')
        return value
      }
      scale *= 128
    }
    throw new DecodeError('a number of more than 8 bytes')
  }

  /** Reads over a varint of any value and up to 10 bytes. */
  skipVarint(): void {
    for (let i = 0; i < 10; i++) if (this.uint8() < 0x80) return
    throw new DecodeError('a number of more than 10 bytes')
  }

  /** A view, not a copy: it shares memory with the bytes being read. */
  bytes(length: number): Buffer {
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  lengthPrefixed(): Buffer {
    return this.bytes(this.varint())
  }

  latin1(length: number): string {
    const at = this.#take(length)
    return this.#buffer.toString('latin1', at, at + length)
  }

  /** Errors: also DecodeError where the bytes are not UTF-8. */
  string(): string {
    return decodeText(this.lengthPrefixed())
  }

  /** Declares the end: trailing bytes mean that writer and reader disagree about the format. */
  finish(): void {
    if (this.#offset !== this.#end) {
      throw new DecodeError(`${this.#end - this.#offset} bytes too many`)
    }
  }

  #take(length: number): number {
    const at = this.#offset
    if (length > this.#end - at) {
      throw new DecodeError(`${length} bytes wanted, ${this.#end - at} left`)
    }
    this.#offset = at + length
    return at
  }
}
