import { ByteReader, ByteWriter } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { siblingsCeiling } from '../core/limits.ts'
import { type Dot, decodeDot, encodeDot } from './version-vector.ts'

/** Dots of versions of one key, one after the other, as messages name them. */
export function encodeDots(dots: readonly Dot[]): Buffer {
  const writer = new ByteWriter(dots.length * 24)
  for (const dot of dots) encodeDot(writer, dot)
  return writer.finish()
}

/** Errors: DecodeError, also for more dots than a key can have versions. */
export function decodeDots(bytes: Uint8Array): Dot[] {
  const reader = new ByteReader(bytes)
  const dots: Dot[] = []
  while (reader.remaining > 0) {
    if (dots.length >= siblingsCeiling) throw new DecodeError('more dots than a key has versions')
    dots.push(decodeDot(reader))
  }
  return dots
}
