import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatHintsReport,
  type MeasuredHints,
  summarizeHints
} from '../../server/bench/hints-report.ts'
import { LatencyHistogram } from '../../server/bench/histogram.ts'

function phaseOf(name: string, ...latenciesMs: number[]) {
  const latency = new LatencyHistogram()
  for (const ms of latenciesMs) latency.record(ms * 1000)
  return { name, latency: latency.state() }
}

const measured: MeasuredHints = {
  fillSeconds: 10,
  drainSeconds: 50,
  hints: 100_000,
  hintBytes: 35_000_000,
  phases: [phaseOf('down', 0.1, 0.2), phaseOf('draining', 0.1), phaseOf('draining', 0.1, 0.25)],
  errors: {},
  proof: { equal: true, partitions: 256, rows: 5000, sampledKeys: 300, findings: [] }
}

test('stretches of one name are one, which names the worst of them', () => {
  const { phases, hintsPerSecond } = summarizeHints(measured)
  assert.equal(hintsPerSecond, 2000)
  assert.deepEqual(
    phases.map(({ name, operations, p50Ms, worst }) => [name, operations, p50Ms, worst]),
    [
      ['down', 2, 0.1, { operations: 2, p50Ms: 0.1, p99Ms: 0.2 }],
      ['draining', 3, 0.1, { operations: 2, p50Ms: 0.1, p99Ms: 0.25 }]
    ]
  )
})

test('the table has what users noticed and what was proven', () => {
  const text = formatHintsReport(summarizeHints(measured))
  assert.match(text, /handed over a second +2,000\n/)
  assert.match(text, / {2}down +2 +0\.10 +0\.20 +0\.20\n {2}draining +3 +0\.10 +0\.25 +0\.25\n/)
  assert.match(text, /errors +none\n\nProof: all replicas hold equal bytes/)
})

test('errors and replicas that differ are not hidden', () => {
  const proof = { ...measured.proof, equal: false, findings: ['the roots of partition 7 differ'] }
  const text = formatHintsReport(summarizeHints({ ...measured, errors: { 503: 2 }, proof }))
  assert.match(text, /errors +.*503/)
  assert.match(text, /THE REPLICAS DIFFER.*\n {2}the roots of partition 7 differ\n/)
})
