import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LatencyHistogram } from '../../server/bench/histogram.ts'
import {
  describeErrors,
  formatReports,
  spread,
  summarizeRun,
  summarizeWorkload
} from '../../server/bench/report.ts'

function resultOf(latenciesMs: readonly number[], errors: [string, number][] = []) {
  const latency = new LatencyHistogram()
  for (const ms of latenciesMs) latency.record(ms * 1000)
  return {
    latency: latency.state(),
    sections: [latency.state()],
    errors: new Map(errors),
    reconnects: 0,
    elapsedMs: 2000,
    cpuMicros: 400
  }
}

test('a run has rates, latencies and costs of what succeeded', () => {
  const run = summarizeRun(resultOf([0.1, 0.1, 0.1, 0.2], [['503', 9]]), 8000)
  assert.equal(run.operations, 4)
  assert.equal(run.opsPerSecond, 2)
  assert.equal(run.p50Ms, 0.1)
  assert.equal(run.p99Ms, 0.2)
  assert.equal(run.serverCpuMicrosPerOp, 2000)
  assert.equal(run.generatorCpuMicrosPerOp, 100)
  assert.deepEqual(run.errors, { 503: 9 })
})

test('a run without a success has no cost for each', () => {
  const run = summarizeRun(resultOf([], [['connect', 3]]), 8000)
  assert.equal(run.opsPerSecond, 0)
  assert.equal(run.serverCpuMicrosPerOp, null)
})

test('the median has as many values below as above', () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 9 }), (values) => {
      const { median, min, max } = spread(values)
      const below = values.filter((value) => value < median).length
      const above = values.filter((value) => value > median).length
      assert.ok(below <= values.length / 2 && above <= values.length / 2)
      assert.equal(min, Math.min(...values))
      assert.equal(max, Math.max(...values))
    })
  )
  assert.equal(spread([1, 2, 10, 30]).median, 6)
})

test('the table shows medians with their range, and all errors', () => {
  const runs = [3, 1, 2].map((count) =>
    summarizeRun(resultOf(Array(count * 2000).fill(1.5), [['503', 1]]), 1e6)
  )
  const report = { ...summarizeWorkload('put', runs), durability: 'fsync' }
  const text = formatReports([report])
  assert.match(text, /^put, durability fsync +median +min +max\n/)
  assert.match(text, /operations per second +2,000 +1,000 +3,000\n/)
  assert.match(text, /p99 latency, ms +1\.50 +1\.50 +1\.50\n/)
  assert.match(text, /server CPU, us per operation +250\.0 +166\.7 +500\.0\n/)
  assert.match(text, /errors +3 x 503\n$/)
})

test('an unknown cost is said to be unknown', () => {
  const text = formatReports([summarizeWorkload('get', [summarizeRun(resultOf([1]), null)])])
  assert.match(text, /CPU of the servers was not measured/)
  assert.match(text, /errors +none\n/)
})

test('errors are listed by their frequency', () => {
  const errors = Object.entries({ closed: 2, 503: 7 })
  assert.equal(describeErrors(new Map(errors)), '7 x 503, 2 x closed')
})
