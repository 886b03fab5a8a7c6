import assert from 'node:assert/strict'
import { test } from 'node:test'
import { objectBytesMax, valueBytesCeiling } from '../../core/limits.ts'
import { objectBytesOf } from '../../server/object-bytes.ts'

const mebi = 1024 * 1024
const bytesOf = (maxValueBytes: number, maxInFlightBytes: number) =>
  objectBytesOf({ maxValueBytes, maxInFlightBytes })

test('the values of a key fit what a node holds at one time, and room for several is left', () => {
  assert.equal(bytesOf(mebi, 32 * mebi), 16 * mebi)
  assert.equal(bytesOf(mebi, 1024 * mebi), objectBytesMax)
  assert.equal(bytesOf(mebi, mebi), 3 * mebi)
  assert.equal(bytesOf(valueBytesCeiling, valueBytesCeiling), 3 * valueBytesCeiling)
})
