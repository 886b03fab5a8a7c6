import { ByteReader, ByteWriter, toHex } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { hash64 } from '../core/hash.ts'
import { vectorEntriesMax } from '../core/limits.ts'
import type { Version } from '../storage/version.ts'
import { type Dot, type Incarnation, incarnationLength } from '../storage/version-vector.ts'

/**
 * For each incarnation the counter up to which all that it wrote in a partition is known to have reached all replicas
 * of the partition. Infinity for an incarnation that mints no more. An incarnation that is not named has zero.
 */
export type WatermarkVector = ReadonlyMap<Incarnation, number>

export const noWatermark: WatermarkVector = new Map()

/** Whether the write is known to have reached all replicas: this is asked for every version that arrives. */
export function isAtOrBelow(watermark: WatermarkVector, dot: Dot): boolean {
  if (watermark.size === 0) return false
  const counter = watermark.get(dot.actor.slice(0, incarnationLength))
  return counter !== undefined && counter >= dot.counter
}

/** Whether the version and everything that its writer had seen are known to have reached all replicas. */
export function coversVersion(watermark: WatermarkVector, { dot, past }: Version): boolean {
  if (!isAtOrBelow(watermark, dot)) return false
  for (const [actor, counter] of past) {
    if (!isAtOrBelow(watermark, { actor, counter })) return false
  }
  return true
}

/** Whether `a` says at least what `b` says. */
export function descendsWatermark(a: WatermarkVector, b: WatermarkVector): boolean {
  if (a === b) return true
  for (const [incarnation, counter] of b) {
    if ((a.get(incarnation) ?? 0) < counter) return false
  }
  return true
}

/** What at least one of the two says; answers with one of them where it says it all. */
export function joinWatermarks(a: WatermarkVector, b: WatermarkVector): WatermarkVector {
  if (descendsWatermark(a, b)) return a
  if (descendsWatermark(b, a)) return b
  const joined = new Map(a)
  for (const [incarnation, counter] of b) {
    if ((joined.get(incarnation) ?? 0) < counter) joined.set(incarnation, counter)
  }
  return joined
}

/** What all of them say; nothing where there are none. */
export function meetWatermarks(vectors: readonly WatermarkVector[]): WatermarkVector {
  const [first, ...rest] = vectors
  if (first === undefined) return noWatermark
  if (rest.every((other) => other === first)) return first
  const met = new Map<Incarnation, number>()
  for (const [incarnation, counter] of first) {
    const least = rest.reduce(
      (sofar, other) => Math.min(sofar, other.get(incarnation) ?? 0),
      counter
    )
    if (least > 0) met.set(incarnation, least)
  }
  return met
}

/** Canonical: entries in the order of their incarnations; zero stands for infinity, which no counter is. */
export function encodeWatermark(watermark: WatermarkVector): Buffer {
  const writer = new ByteWriter(16 + watermark.size * 12)
  const entries = [...watermark].sort(([a], [b]) => (a < b ? -1 : 1))
  writer.varint(entries.length)
  for (const [incarnation, counter] of entries) {
    writer.latin1(incarnation)
    writeCounter(writer, counter)
  }
  return writer.finish()
}

/** Errors: DecodeError, also where the entries are not in canonical order. */
export function decodeWatermark(bytes: Uint8Array): WatermarkVector {
  if (bytes.length === 0) return noWatermark
  const reader = new ByteReader(bytes)
  const size = reader.varint()
  if (size > vectorEntriesMax) throw new DecodeError(`a watermark of ${size} entries`)
  const watermark = new Map<Incarnation, number>()
  let previous = ''
  for (let i = 0; i < size; i++) {
    const incarnation = reader.latin1(incarnationLength)
    if (incarnation <= previous) throw new DecodeError('a watermark out of order')
    previous = incarnation
    watermark.set(incarnation, readCounter(reader))
  }
  reader.finish()
  return watermark
}

export function writeCounter(writer: ByteWriter, counter: number): void {
  writer.varint(counter === Number.POSITIVE_INFINITY ? 0 : counter)
}

export function readCounter(reader: ByteReader): number {
  const counter = reader.varint()
  return counter === 0 ? Number.POSITIVE_INFINITY : counter
}

/** The name of content that is passed around by reference: 64 bits over its canonical bytes, as hexadecimal digits. */
export type ContentName = string

export function nameOf(content: Uint8Array): ContentName {
  return toHex(hash64(content))
}

const names = new WeakMap<WatermarkVector, ContentName>()

/** Worked out once for each vector, which therefore must not change any more. */
export function nameOfWatermark(watermark: WatermarkVector): ContentName {
  let name = names.get(watermark)
  if (name === undefined) {
    name = nameOf(encodeWatermark(watermark))
    names.set(watermark, name)
  }
  return name
}
