import { ByteReader, type ByteWriter, varintLength } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'

/**
 * The part of the protobuf wire format that the hot path writes by hand: varints and length-delimited fields. Fields
 * that hold their default are left out and fields go in the order of their numbers, as the generated code does it.
 */
const varintType = 0
const fixed64Type = 1
const lengthDelimitedType = 2
const fixed32Type = 5

export function writeUint(writer: ByteWriter, field: number, value: number): void {
  if (value !== 0) writer.varint((field << 3) | varintType).varint(value)
}

export function writeBool(writer: ByteWriter, field: number, value: boolean): void {
  if (value) writer.varint((field << 3) | varintType).uint8(1)
}

export function writeBytes(writer: ByteWriter, field: number, value: Uint8Array): void {
  if (value.length > 0) writeMessage(writer, field, value)
}

export function writeString(writer: ByteWriter, field: number, value: string): void {
  if (value !== '') writer.varint((field << 3) | lengthDelimitedType).string(value)
}

/** Bytes that `writeUint` writes. */
export function lengthOfUint(field: number, value: number): number {
  return value === 0 ? 0 : varintLength(field << 3) + varintLength(value)
}

/** Bytes that `writeBytes` writes. */
export function lengthOfBytes(field: number, value: Uint8Array): number {
  return value.length === 0 ? 0 : lengthOfMessage(field, value.length)
}

/** Bytes that `writeMessage` writes for a message of so many bytes. */
export function lengthOfMessage(field: number, bytes: number): number {
  return varintLength(field << 3) + varintLength(bytes) + bytes
}

/** A submessage is written even where it is empty: its presence says something. */
export function writeMessage(writer: ByteWriter, field: number, message: Uint8Array): void {
  writeMessageHead(writer, field, message.length)
  writer.bytes(message)
}

/** What stands before the bytes of a submessage. */
export function writeMessageHead(writer: ByteWriter, field: number, bytes: number): void {
  writer.varint((field << 3) | lengthDelimitedType).varint(bytes)
}

/** The next field of a message. Values of unknown fields are read over, so that newer peers may say more. */
export class FieldReader {
  readonly #reader: ByteReader
  #type = 0
  #unread = false

  constructor(bytes: Uint8Array) {
    this.#reader = new ByteReader(bytes)
  }

  /** The number of the next field, or 0 at the end. */
  next(): number {
    if (this.#unread) this.#skip()
    if (this.#reader.remaining === 0) return 0
    const tag = this.#reader.varint()
    this.#type = tag & 7
    this.#unread = true
    const field = Math.floor(tag / 8)
    if (field === 0) throw new DecodeError('a field with number 0')
    return field
  }

  uint(): number {
    this.#expect(varintType)
    return this.#reader.varint()
  }

  bool(): boolean {
    return this.uint() !== 0
  }

  /** A view of the message's memory. */
  bytes(): Buffer {
    this.#expect(lengthDelimitedType)
    return this.#reader.lengthPrefixed()
  }

  string(): string {
    this.#expect(lengthDelimitedType)
    return this.#reader.string()
  }

  #expect(type: number): void {
    if (this.#type !== type) throw new DecodeError(`wire type ${this.#type}, where ${type} belongs`)
    this.#unread = false
  }

  #skip(): void {
    this.#unread = false
    if (this.#type === varintType) this.#reader.skipVarint()
    else if (this.#type === fixed64Type) this.#reader.bytes(8)
    else if (this.#type === lengthDelimitedType) this.#reader.lengthPrefixed()
    else if (this.#type === fixed32Type) this.#reader.bytes(4)
    else throw new DecodeError(`unknown wire type ${this.#type}`)
  }
}

export const noBytes: Buffer = Buffer.alloc(0)
