import { ByteReader, ByteWriter, equalBytes } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { checksum64, digestBytes } from '../core/hash.ts'
import { decodeObject } from './object-codec.ts'
import type { Versions } from './version.ts'
import { type Actor, decodeActor } from './version-vector.ts'

/** An object as this node keeps it. */
export interface Row {
  readonly versions: Versions
  /**
   * The actor that this node mints with on this row; null where the row came from elsewhere. Neither replicated nor
   * hashed: it says what this node, and nobody else, has minted here without forgetting any of it.
   */
  readonly mintActor: Actor | null
  /** `hashObject(versions)`. */
  readonly objectHash: Uint8Array
  /** `encodeObject(versions, 'row')`. */
  readonly objectBytes: Buffer
}

const checksumBytes = 8
const format = 1
const mintActorFlag = 1

/** checksum 8 | format | flags | [mint actor 14] | object hash 16 | object. The checksum covers the row's key too. */
export function encodeRow(rowKey: Uint8Array, row: Row): Buffer {
  const writer = new ByteWriter(64 + row.objectBytes.length)
  writer.uint32(0).uint32(0)
  writer.uint8(format).uint8(row.mintActor === null ? 0 : mintActorFlag)
  if (row.mintActor !== null) writer.latin1(row.mintActor)
  writer.bytes(row.objectHash).bytes(row.objectBytes)
  return seal(rowKey, writer.finish())
}

/** Errors: DecodeError where the bytes are not what was written under this key. */
export function decodeRow(rowKey: Uint8Array, bytes: Buffer): Row {
  const reader = open(rowKey, bytes)
  const { mintActor, objectHash } = decodeHead(reader)
  const objectBytes = reader.bytes(reader.remaining)
  return { versions: decodeObject(objectBytes), mintActor, objectHash, objectBytes }
}

/** The row's `objectHash` alone, at a fraction of the cost. Errors: as `decodeRow`, but the object is not looked at. */
export function decodeObjectHash(rowKey: Uint8Array, bytes: Buffer): Buffer {
  return decodeHead(open(rowKey, bytes)).objectHash
}

function decodeHead(reader: ByteReader): { mintActor: Actor | null; objectHash: Buffer } {
  const found = reader.uint8()
  if (found !== format) throw new DecodeError(`row format ${found}, where ${format} is known`)
  const flags = reader.uint8()
  if (flags > mintActorFlag) throw new DecodeError(`unknown row flags ${flags}`)
  const mintActor = flags & mintActorFlag ? decodeActor(reader) : null
  return { mintActor, objectHash: reader.bytes(digestBytes) }
}

/** For rows that are bytes to everybody but their owner: values kept apart, what a node knows of itself. */
export function encodeSealed(rowKey: Uint8Array, content: Uint8Array): Buffer {
  return seal(rowKey, Buffer.concat([Buffer.alloc(checksumBytes), content]))
}

export function decodeSealed(rowKey: Uint8Array, bytes: Buffer): Buffer {
  const reader = open(rowKey, bytes)
  return reader.bytes(reader.remaining)
}

function seal(rowKey: Uint8Array, bytes: Buffer): Buffer {
  bytes.set(checksum64(rowKey, bytes.subarray(checksumBytes)), 0)
  return bytes
}

function open(rowKey: Uint8Array, bytes: Buffer): ByteReader {
  if (bytes.length < checksumBytes) throw new DecodeError('a row shorter than its checksum')
  const checksum = checksum64(rowKey, bytes.subarray(checksumBytes))
  if (!equalBytes(checksum, bytes.subarray(0, checksumBytes))) {
    throw new DecodeError('the checksum does not match')
  }
  return new ByteReader(bytes, checksumBytes)
}
