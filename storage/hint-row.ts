import { ByteReader, ByteWriter } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { hintPrefix, makeObjectKey, type ObjectKey, type RowRange } from './keys.ts'
import { decodeObject, encodeObject } from './object-codec.ts'
import type { Versions } from './version.ts'

/**
 * What is kept for a node that could not be reached, in the order of its targets and tokens:
 *
 *   h | target length 1 | target | token 8 | bucket length 2 | bucket | key   ->   format 1 | stored 6 | whole object
 */

const format = 1
const tokenLength = 8
const storedMsMax = 2 ** 48 - 1

/** Whose hint, and for what. */
export interface HintKey {
  readonly target: string
  readonly key: ObjectKey
}

/** What a hint holds: a whole object, with all its values. */
export interface HintContent {
  /** Wall-clock time at which the target began to miss something of this key. */
  readonly storedMs: number
  readonly versions: Versions
}

export function hintRowKey(target: string, key: ObjectKey): Buffer {
  const prefix = targetPrefix(target)
  // The row of an object is its prefix, then what follows here too.
  return Buffer.concat([prefix, key.row.subarray(1)])
}

/** Errors: DecodeError where `row` is no hint's key. */
export function parseHintRowKey(row: Uint8Array): HintKey {
  const reader = new ByteReader(row)
  if (reader.uint8() !== hintPrefix) throw new DecodeError('not the key of a hint')
  const target = reader.bytes(reader.uint8()).toString('utf8')
  const token = reader.bytes(tokenLength)
  const bucket = reader.bytes(reader.uint8() * 256 + reader.uint8())
  const key = reader.bytes(reader.remaining)
  return { target, key: makeObjectKey(token, bucket, key) }
}

export function isHintRowKey(row: Uint8Array): boolean {
  return row[0] === hintPrefix
}

export const allHints: RowRange = {
  from: Buffer.of(hintPrefix),
  to: Buffer.of(hintPrefix + 1)
}

export function hintsOf(target: string): RowRange {
  const from = targetPrefix(target)
  return { from, to: afterTarget(target) }
}

/** Where the hints of the next target begin. */
export function afterTarget(target: string): Buffer {
  const to = Buffer.from(targetPrefix(target))
  for (let at = to.length - 1; at >= 0; at--) {
    const byte = to[at] ?? 0
    if (byte < 0xff) {
      to[at] = byte + 1
      return to.subarray(0, at + 1)
    }
  }
  return allHints.to
}

export function encodeHint({ storedMs, versions }: HintContent): Buffer {
  const object = encodeObject(versions, 'whole')
  const writer = new ByteWriter(7 + object.length)
  return writer.uint8(format).uint48(toStoredMs(storedMs)).bytes(object).finish()
}

/** A time as a row can hold it, whatever the clock says. */
export function toStoredMs(nowMs: number): number {
  return Math.min(storedMsMax, Math.max(0, Math.floor(nowMs)))
}

/** Errors: DecodeError for anything that `encodeHint` does not write. */
export function decodeHint(bytes: Uint8Array): HintContent {
  const reader = new ByteReader(bytes)
  const found = reader.uint8()
  if (found !== format) throw new DecodeError(`hint format ${found}, where ${format} is known`)
  const storedMs = reader.uint48()
  const versions = decodeObject(reader.bytes(reader.remaining))
  if (versions.length === 0) throw new DecodeError('a hint without versions')
  if (versions.some(({ tombstone, value }) => !tombstone && value === null)) {
    throw new DecodeError('a hint that lacks a value')
  }
  return { storedMs, versions }
}

function targetPrefix(target: string): Buffer {
  const id = Buffer.from(target)
  if (id.length === 0 || id.length > 255) {
    throw new DecodeError(`a target of ${id.length} bytes, where 1 to 255 are possible`)
  }
  return Buffer.concat([Buffer.of(hintPrefix, id.length), id])
}
