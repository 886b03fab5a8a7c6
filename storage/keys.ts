import { asBuffer, ByteReader } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { type Dot, incarnationLength } from './version-vector.ts'

/**
 * The layout of the database. Tokens come first, so that a partition, and within it a leaf, is one range of keys.
 *
 *   o | token 8 | bucket length 2 | bucket | key                                an object
 *   v | token 8 | bucket length 2 | bucket | key | actor 14 | counter 6         a value kept apart
 *   m | name                                                                    what the node knows of itself
 */
const objectPrefix = 0x6f
const valuePrefix = 0x76
const metaPrefix = 0x6d

const tokenOffset = 1
const tokenLength = 8
const bucketLengthOffset = tokenOffset + tokenLength
const bucketOffset = bucketLengthOffset + 2
const dotLength = incarnationLength + 6 + 6

/** What an object is stored and replicated under. */
export interface ObjectKey {
  readonly bucket: Uint8Array
  readonly key: Uint8Array
  /** 8 bytes, the position on the ring. */
  readonly token: Uint8Array
  /** The key of the object's row. */
  readonly row: Buffer
  /** `row` as a string of characters below 256, for maps. */
  readonly id: string
}

export function makeObjectKey(token: Uint8Array, bucket: Uint8Array, key: Uint8Array): ObjectKey {
  const row = Buffer.allocUnsafe(bucketOffset + bucket.length + key.length)
  row[0] = objectPrefix
  row.set(token, tokenOffset)
  row.writeUInt16BE(bucket.length, bucketLengthOffset)
  row.set(bucket, bucketOffset)
  row.set(key, bucketOffset + bucket.length)
  return { bucket, key, token, row, id: row.toString('latin1') }
}

/** Errors: DecodeError where `row` is no object's key. */
export function parseObjectKey(row: Uint8Array): ObjectKey {
  const reader = new ByteReader(row)
  if (reader.uint8() !== objectPrefix) throw new DecodeError('not the key of an object')
  const token = reader.bytes(tokenLength)
  const bucket = reader.bytes(reader.uint8() * 256 + reader.uint8())
  const key = reader.bytes(reader.remaining)
  const buffer = asBuffer(row)
  return { bucket, key, token, row: buffer, id: buffer.toString('latin1') }
}

export function valueRowKey(key: ObjectKey, dot: Dot): Buffer {
  const length = key.row.length
  const row = Buffer.allocUnsafe(length + dotLength)
  key.row.copy(row)
  row[0] = valuePrefix
  row.write(dot.actor, length, 'latin1')
  row.writeUIntBE(dot.counter, length + dotLength - 6, 6)
  return row
}

export function metaRowKey(name: string): Buffer {
  return Buffer.concat([Buffer.of(metaPrefix), Buffer.from(name)])
}

/** A half-open range of row keys. */
export interface RowRange {
  readonly from: Buffer
  readonly to: Buffer
}

/** All objects of a partition. `partitionCount` is a power of two. */
export function partitionRange(partition: number, partitionCount: number): RowRange {
  const width = 0x1_0000_0000 / partitionCount
  return { from: boundary(partition * width), to: boundary((partition + 1) * width) }
}

function boundary(tokenHigh: number): Buffer {
  if (tokenHigh >= 0x1_0000_0000) return Buffer.of(objectPrefix + 1)
  const row = Buffer.alloc(5)
  row[0] = objectPrefix
  row.writeUInt32BE(tokenHigh, 1)
  return row
}

/** The smallest key after `row`: where a walk resumes. */
export function rowAfter(row: Uint8Array): Buffer {
  return Buffer.concat([row, Buffer.of(0)])
}
