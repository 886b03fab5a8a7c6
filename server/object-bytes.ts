import { largestValuesPerObject, objectBytesMax } from '../core/limits.ts'

/**
 * Bytes that the values of one key may have together before a write that adds to them is refused. An answer with all of
 * them, in base64, leaves room for others among `maxInFlightBytes`, unless a few of the largest values need more.
 */
export function objectBytesOf(limits: {
  readonly maxValueBytes: number
  readonly maxInFlightBytes: number
}): number {
  const needed = largestValuesPerObject * limits.maxValueBytes
  return Math.max(needed, Math.min(objectBytesMax, Math.floor(limits.maxInFlightBytes / 2)))
}
