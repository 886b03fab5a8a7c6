import { asBuffer, ByteReader, compareBytes } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { type Dot, incarnationLength } from './version-vector.ts'

/**
 * The layout of the database. Tokens come first, so that a partition, and within it a leaf, is one range of keys.
 *
 *   o | token 8 | bucket length 2 | bucket | key                                an object
 *   v | token 8 | bucket length 2 | bucket | key | actor 14 | counter 6         a value kept apart
 *   t | token 8 | bucket length 2 | bucket | key                                the object has a tombstone or an expiry
 *   c | partition 2                                                             the checkpoint of a hash tree
 *   d | partition 2 | leaf 2                                                    the leaf has changed since then
 *   h | target length 1 | target | token 8 | bucket length 2 | bucket | key     a hint, see hint-row.ts
 *   m | name                                                                    what the node knows of itself
 */
const objectPrefix = 0x6f
const valuePrefix = 0x76
const metaPrefix = 0x6d
const tombstonePrefix = 0x74
const checkpointPrefix = 0x63
const dirtyPrefix = 0x64
export const hintPrefix = 0x68

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

export function isObjectRowKey(row: Uint8Array): boolean {
  return row[0] === objectPrefix
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

/** Of the row that stands in the tombstone index for the object's. */
export function tombstoneRowKey(key: ObjectKey): Buffer {
  const row = Buffer.from(key.row)
  row[0] = tombstonePrefix
  return row
}

/** The object that a row of the tombstone index stands for. Errors: DecodeError where it is none. */
export function parseTombstoneRowKey(rowKey: Uint8Array): ObjectKey {
  if (rowKey[0] !== tombstonePrefix) throw new DecodeError('not a key of the tombstone index')
  const row = Buffer.from(rowKey)
  row[0] = objectPrefix
  return parseObjectKey(row)
}

export function checkpointRowKey(partition: number): Buffer {
  return Buffer.of(checkpointPrefix, partition >>> 8, partition & 0xff)
}

export function dirtyRowKey(partition: number, leaf: number): Buffer {
  return Buffer.of(dirtyPrefix, partition >>> 8, partition & 0xff, leaf >>> 8, leaf & 0xff)
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
  return tokenRange(objectPrefix, partition, partition + 1, partitionCount)
}

/** The partitions of which objects may be in the range. */
export function partitionsIn({ from, to }: RowRange, partitionCount: number): number[] {
  return Array.from({ length: partitionCount }, (_, partition) => partition).filter((partition) => {
    const own = partitionRange(partition, partitionCount)
    return compareBytes(own.from, to) < 0 && compareBytes(from, own.to) < 0
  })
}

/** The rows of the tombstone index for a partition. */
export function tombstoneRange(partition: number, partitionCount: number): RowRange {
  return tokenRange(tombstonePrefix, partition, partition + 1, partitionCount)
}

/** All objects of the leaves from `first` up to and without `end` of a partition; all counts are powers of two. */
export function leafRange(
  place: { readonly partition: number; readonly first: number; readonly end: number },
  partitionCount: number,
  leafCount: number
): RowRange {
  const base = place.partition * leafCount
  const slots = partitionCount * leafCount
  return tokenRange(objectPrefix, base + place.first, base + place.end, slots)
}

/** All checkpoints, in the order of their partitions, and all dirty marks. */
export const checkpointsRange: RowRange = kindRange(checkpointPrefix)
export const dirtyRange: RowRange = kindRange(dirtyPrefix)

/**
 * Where an object belongs when the ring is cut into `2 ** bits` equal pieces, at most 2 ** 31: the first bits of its
 * token. Partitions are such pieces, and with more bits the leaves of all partitions.
 */
export function pieceOf(objectRow: Buffer, bits: number): number {
  return Math.floor(objectRow.readUInt32BE(tokenOffset) / 2 ** (32 - bits))
}

/** The pieces from `first` up to and without `end`, of `count` equal ones. */
function tokenRange(prefix: number, first: number, end: number, count: number): RowRange {
  const width = 0x1_0000_0000 / count
  return { from: boundary(prefix, first * width), to: boundary(prefix, end * width) }
}

function kindRange(prefix: number): RowRange {
  return { from: Buffer.of(prefix), to: Buffer.of(prefix + 1) }
}

function boundary(prefix: number, tokenHigh: number): Buffer {
  if (tokenHigh >= 0x1_0000_0000) return Buffer.of(prefix + 1)
  const row = Buffer.alloc(5)
  row[0] = prefix
  row.writeUInt32BE(tokenHigh, 1)
  return row
}

/** Whether nothing here writes such a key, nor could read it: bits of it have flipped. Most flips cannot be told from it. */
export function isMalformed(row: Buffer): boolean {
  const kind = row[0]
  if (kind === objectPrefix || kind === tombstonePrefix) return !endsWithNames(row, tokenOffset)
  if (kind === hintPrefix) return row.length < 2 || !endsWithNames(row, 2 + row.readUInt8(1))
  if (kind === checkpointPrefix) return row.length !== checkpointLength
  return kind === dirtyPrefix && row.length !== dirtyLength
}

const checkpointLength = 3
const dirtyLength = 5

/** Whether token, bucket and key can be from there on. */
function endsWithNames(row: Buffer, offset: number): boolean {
  const head = offset + tokenLength + 2
  return row.length >= head && row.length >= head + row.readUInt16BE(head - 2)
}

/** The smallest key after `row`: where a walk resumes. */
export function rowAfter(row: Uint8Array): Buffer {
  return Buffer.concat([row, Buffer.of(0)])
}
