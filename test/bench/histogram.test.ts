import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LatencyHistogram } from '../../server/bench/histogram.ts'

// Values spread over all magnitudes: uniform ones would nearly all be large.
const micros = fc
  .tuple(fc.integer({ min: 0, max: 31 }), fc.integer({ min: 0, max: 2 ** 31 - 1 }))
  .map(([bits, value]) => value % 2 ** bits)
const fractions = [0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1]

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}

test('a quantile is at most 1/128 above that of the sorted values, and never below', () => {
  fc.assert(
    fc.property(fc.array(micros, { minLength: 1, maxLength: 200 }), (values) => {
      const histogram = histogramOf(values)
      const sorted = values.toSorted((a, b) => a - b)
      for (const fraction of fractions) {
        const exact = sorted[Math.max(1, Math.ceil(fraction * sorted.length)) - 1] ?? Number.NaN
        const measured = histogram.quantile(fraction)
        assert.ok(
          measured >= exact && measured <= exact * (1 + 1 / 128),
          `${measured} for ${exact}`
        )
      }
      assert.equal(histogram.maxMicros, sorted.at(-1))
    })
  )
})

test('no quantile of merged histograms is above the highest of theirs', () => {
  // Values so close that many share a bucket.
  const close = fc.array(fc.integer({ min: 60_000, max: 66_000 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(fc.array(close, { minLength: 1, maxLength: 4 }), (parts) => {
      const merged = new LatencyHistogram()
      for (const part of parts) merged.merge(histogramOf(part).state())
      for (const fraction of fractions) {
        const highest = Math.max(...parts.map((part) => histogramOf(part).quantile(fraction)))
        assert.ok(merged.quantile(fraction) <= highest, `${fraction} of ${JSON.stringify(parts)}`)
      }
    })
  )
})

test('merged histograms are the histogram of all values', () => {
  fc.assert(
    fc.property(fc.array(micros), fc.array(micros), (some, others) => {
      const merged = histogramOf(some)
      merged.merge(histogramOf(others).state())
      const whole = histogramOf([...some, ...others])
      assert.deepEqual(merged.state(), whole.state())
      assert.equal(merged.count, some.length + others.length)
    })
  )
})

test('values out of range are kept at its ends, and fractions of a microsecond are rounded', () => {
  const histogram = histogramOf([-5, 1.6, 1e12])
  assert.equal(histogram.quantile(0), 0)
  assert.equal(histogram.quantile(0.5), 2)
  assert.equal(histogram.maxMicros, 2 ** 31 - 1)
})

test('an empty histogram answers 0', () => {
  assert.equal(new LatencyHistogram().quantile(0.5), 0)
})
