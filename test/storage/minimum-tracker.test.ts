import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MinimumTracker } from '../../storage/minimum-tracker.ts'
import { lawRuns } from '../core/law-runs.ts'

test('the least of the numbers that were added more often than removed', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(20)), { maxLength: 120 })
  fc.assert(
    fc.property(steps, (list) => {
      const tracker = new MinimumTracker()
      const model: number[] = []
      for (const [adds, value] of list) {
        const at = model.indexOf(value)
        if (adds || at < 0) {
          tracker.add(value)
          model.push(value)
        } else {
          tracker.remove(value)
          model.splice(at, 1)
        }
        assert.equal(tracker.minimum(), model.length === 0 ? null : Math.min(...model))
        assert.equal(tracker.size, model.length)
      }
    }),
    lawRuns(500)
  )
})

test('numbers that come and go behind a small one that stays', () => {
  const tracker = new MinimumTracker()
  tracker.add(0)
  for (let value = 1; value <= 5000; value++) {
    tracker.add(value)
    if (value > 1) tracker.remove(value - 1)
  }
  assert.equal(tracker.minimum(), 0)
  tracker.remove(0)
  assert.equal(tracker.minimum(), 5000)
  assert.equal(tracker.size, 1)
})
