import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createPace } from '../../server/bench/pace.ts'

test('turns follow each other evenly, however late they are taken', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 1, max: 1000 }),
      (rate, turns) => {
        const pace = createPace(rate)
        const first = pace.next()
        for (let turn = 1; turn <= turns; turn++) {
          assert.ok(Math.abs(pace.next() - first - (turn * 1000) / rate) < 1e-6)
        }
      }
    )
  )
})
