import { ByteReader, ByteWriter, equalBytes } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { digestBytes } from '../core/hash.ts'
import {
  contentTypeBytesMax,
  inlineValueBytesMax,
  metaBytesMax,
  metaEntriesMax
} from '../core/limits.ts'
import { hashContent, type Meta, timeMsMax, type Version, type Versions } from './version.ts'
import { compareDots, decodeDot, decodeVector, encodeDot, encodeVector } from './version-vector.ts'

/**
 * Objects as bytes, in rows and between nodes. Canonical: the same versions always give the same bytes. `row` leaves
 * out the values that are kept apart (size above `inlineValueBytesMax`); `whole` has everything.
 *
 *   format 1 | count | version*           a version: flags | dot | past | time | [expiry] | [content type] | [meta]
 *                                                     | content hash | [size | value, unless kept apart]
 */
export type ObjectForm = 'row' | 'whole'

const format = 1
const tombstoneFlag = 1
const apartFlag = 2
const expiryFlag = 4
const contentTypeFlag = 8
const metaFlag = 16
const knownFlags = 31

export function isKeptApart(version: { readonly size: number }): boolean {
  return version.size > inlineValueBytesMax
}

export function encodeObject(versions: Versions, form: ObjectForm): Buffer {
  let capacity = 32
  for (const version of versions) {
    capacity += 96 + version.past.size * 20 + version.contentType.length
    if (version.value !== null) capacity += version.value.length
  }
  const writer = new ByteWriter(capacity)
  writer.uint8(format).varint(versions.length)
  for (const version of versions) encodeVersion(writer, version, form)
  return writer.finish()
}

function encodeVersion(writer: ByteWriter, version: Version, form: ObjectForm): void {
  const apart = form === 'row' && isKeptApart(version)
  writer.uint8(
    (version.tombstone ? tombstoneFlag : 0) |
      (apart ? apartFlag : 0) |
      (version.expiresAtMs > 0 ? expiryFlag : 0) |
      (version.contentType !== '' ? contentTypeFlag : 0) |
      (version.meta.length > 0 ? metaFlag : 0)
  )
  encodeDot(writer, version.dot)
  encodeVector(writer, version.past)
  writer.varint(version.timeMs)
  if (version.expiresAtMs > 0) writer.varint(version.expiresAtMs)
  if (version.contentType !== '') writer.string(version.contentType)
  if (version.meta.length > 0) encodeMeta(writer, version.meta)
  writer.bytes(version.contentHash)
  if (version.tombstone) return
  writer.varint(version.size)
  if (apart) return
  if (version.value === null) throw new DecodeError('a value was not read before it was encoded')
  writer.bytes(version.value)
}

function encodeMeta(writer: ByteWriter, meta: Meta): void {
  writer.varint(meta.length)
  for (const [name, value] of meta) writer.string(name).string(value)
}

/**
 * Reads either form; values share memory with `bytes`.
 *
 * Errors: DecodeError for anything that `encodeObject` does not write.
 */
export function decodeObject(bytes: Uint8Array): Versions {
  const reader = new ByteReader(bytes)
  const found = reader.uint8()
  if (found !== format) throw new DecodeError(`object format ${found}, where ${format} is known`)
  const count = reader.varint()
  const versions: Version[] = []
  for (let i = 0; i < count; i++) {
    const version = decodeVersion(reader)
    const previous = versions[i - 1]
    if (previous !== undefined && compareDots(previous.dot, version.dot) >= 0) {
      throw new DecodeError('versions out of order')
    }
    versions.push(version)
  }
  reader.finish()
  if (count > 1) refuseMixedForms(versions)
  return versions
}

// Such an object would have two encodings, and in neither form the bytes that it came in.
function refuseMixedForms(versions: Versions): void {
  const large = versions.filter(isKeptApart)
  if (new Set(large.map(({ value }) => value === null)).size > 1) {
    throw new DecodeError('large values both kept apart and not')
  }
}

/** As `decodeObject`, for bytes of another node: whole, and every content hash computed anew. */
export function decodeForeignObject(bytes: Uint8Array): Versions {
  const versions = decodeObject(bytes)
  for (const version of versions) {
    if (!version.tombstone && version.value === null) throw new DecodeError('a value is missing')
    if (!equalBytes(hashContent(version.dot, version), version.contentHash)) {
      throw new DecodeError('a version does not match its content hash')
    }
  }
  return versions
}

function decodeVersion(reader: ByteReader): Version {
  const flags = reader.uint8()
  if (flags > knownFlags) throw new DecodeError(`unknown version flags ${flags}`)
  const tombstone = (flags & tombstoneFlag) !== 0
  const apart = (flags & apartFlag) !== 0
  if (tombstone && flags !== tombstoneFlag) throw new DecodeError('a tombstone with content')
  const dot = decodeDot(reader)
  const past = decodeVector(reader)
  const timeMs = decodeTime(reader)
  const expiresAtMs = flags & expiryFlag ? decodeExpiry(reader) : 0
  const contentType = flags & contentTypeFlag ? decodeContentType(reader) : ''
  const meta = flags & metaFlag ? decodeMeta(reader) : noMeta
  const contentHash = reader.bytes(digestBytes)
  const size = tombstone ? 0 : reader.varint()
  if (apart && !isKeptApart({ size })) throw new DecodeError('a small value kept apart')
  const value = tombstone || apart ? null : reader.bytes(size)
  return { dot, past, tombstone, contentType, meta, timeMs, expiresAtMs, size, value, contentHash }
}

const noMeta: Meta = []

function decodeTime(reader: ByteReader): number {
  const timeMs = reader.varint()
  if (timeMs > timeMsMax) throw new DecodeError(`a time of ${timeMs}, beyond all dates`)
  return timeMs
}

function decodeExpiry(reader: ByteReader): number {
  const expiresAtMs = decodeTime(reader)
  if (expiresAtMs === 0) throw new DecodeError('an expiry of zero')
  return expiresAtMs
}

function decodeContentType(reader: ByteReader): string {
  const contentType = reader.string()
  if (contentType === '' || contentType.length > contentTypeBytesMax) {
    throw new DecodeError('a content type that is empty or too long')
  }
  return contentType
}

function decodeMeta(reader: ByteReader): Meta {
  const count = reader.varint()
  if (count === 0 || count > metaEntriesMax) throw new DecodeError(`${count} meta entries`)
  const start = reader.offset
  const meta: [string, string][] = []
  let previous = ''
  for (let i = 0; i < count; i++) {
    const name = reader.string()
    if (i > 0 && name <= previous) throw new DecodeError('meta entries out of order')
    previous = name
    meta.push([name, reader.string()])
  }
  if (reader.offset - start > metaBytesMax * 2) throw new DecodeError('meta entries too long')
  return meta
}
