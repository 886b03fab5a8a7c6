import { ByteReader, ByteWriter } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { noBytes } from '../proto/wire-format.ts'
import { partitionsMax } from '../ring/token.ts'
import { type Incarnation, incarnationLength } from '../storage/version-vector.ts'
import type { HintedDots } from './report-table.ts'

/** How many incarnations may be asked about at once. */
export const aboutMax = 256

/** One after the other, at most `aboutMax` of them. */
export function encodeAbout(incarnations: readonly Incarnation[]): Uint8Array {
  const writer = new ByteWriter(incarnations.length * incarnationLength)
  for (const incarnation of incarnations) writer.latin1(incarnation)
  return writer.finish()
}

/** Errors: DecodeError. */
export function decodeAbout(bytes: Uint8Array): ReadonlySet<Incarnation> {
  if (bytes.length > aboutMax * incarnationLength)
    throw new DecodeError('a question about too many incarnations')
  const reader = new ByteReader(bytes)
  const incarnations = new Set<Incarnation>()
  while (reader.remaining > 0) incarnations.add(reader.latin1(incarnationLength))
  return incarnations
}

/** Empty where it is not known yet what the hints hold; never empty otherwise. */
export function encodeHintedDots(dots: HintedDots | null): Uint8Array {
  if (dots === null) return noBytes
  const writer = new ByteWriter().varint(dots.size)
  for (const [partition, counters] of dots) {
    writer.varint(partition).varint(counters.size)
    for (const [incarnation, counter] of counters) writer.latin1(incarnation).varint(counter)
  }
  return writer.finish()
}

/** Errors: DecodeError. */
export function decodeHintedDots(bytes: Uint8Array): HintedDots | null {
  if (bytes.length === 0) return null
  const reader = new ByteReader(bytes)
  const dots = new Map<number, ReadonlyMap<Incarnation, number>>()
  const size = reader.varint()
  if (size > partitionsMax) throw new DecodeError(`hints of ${size} partitions`)
  for (let i = 0; i < size; i++) {
    const partition = reader.varint()
    if (partition >= partitionsMax || dots.has(partition))
      throw new DecodeError('hints whose partitions make no sense')
    dots.set(partition, decodeCounters(reader))
  }
  reader.finish()
  return dots
}

function decodeCounters(reader: ByteReader): ReadonlyMap<Incarnation, number> {
  const size = reader.varint()
  if (size > aboutMax) throw new DecodeError(`hints of ${size} incarnations`)
  const counters = new Map<Incarnation, number>()
  for (let i = 0; i < size; i++) {
    const incarnation = reader.latin1(incarnationLength)
    if (counters.has(incarnation)) throw new DecodeError('hints that name an incarnation twice')
    const counter = reader.varint()
    if (counter === 0) throw new DecodeError('a hint of a dot that nobody mints')
    counters.set(incarnation, counter)
  }
  return counters
}
