import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatRepairReport,
  type RepairRunReport,
  summarizeScenario
} from '../../server/bench/repair-report.ts'

const scenario = { name: '1000', stale: 1000, underLoad: false } as const
const equalProof = { equal: true, partitions: 256, rows: 5000, sampledKeys: 300, findings: [] }

function runOf(changes: Partial<RepairRunReport> = {}): RepairRunReport {
  return {
    seconds: 0.5,
    roundTrips: 6,
    indexBytes: 100_000,
    dataBytes: 400_000,
    rowsShipped: 1000,
    rowsNeeded: 1000,
    serverCpuSeconds: 0.1,
    foreground: null,
    ...changes
  }
}

test('a scenario has medians of what was measured, and ratios of each run', () => {
  const report = summarizeScenario(scenario, [
    runOf(),
    runOf({ seconds: 0.25, rowsShipped: 1500 }),
    runOf({ seconds: 1, indexBytes: 300_000 })
  ])
  assert.equal(report.seconds.median, 0.5)
  assert.equal(report.rowsPerSecond.median, 2000)
  assert.deepEqual(report.rowsShippedOverNeeded, { median: 1, min: 1, max: 1.5 })
  assert.deepEqual(report.allBytesOverRowBytes, { median: 1.25, min: 1.25, max: 1.75 })
  assert.deepEqual(report.indexBytesPerRow, { median: 100, min: 100, max: 300 })
  assert.equal(report.p99DuringMs, null)
})

test('where there was nothing to ship there are no ratios', () => {
  const idle = { dataBytes: 0, rowsShipped: 0, rowsNeeded: 0 }
  const report = summarizeScenario({ ...scenario, name: '0', stale: 0 }, [runOf(idle)])
  assert.equal(report.rowsShippedOverNeeded, null)
  assert.equal(report.allBytesOverRowBytes, null)
  const text = formatRepairReport({ fillSeconds: 1, scenarios: [report], proof: equalProof })
  assert.match(text, /shipped \/ had to be +-\n/)
})

test('what users noticed is shown where there were any, and errors are added up', () => {
  const at = (p99Ms: number) => ({ operations: 100, p50Ms: 1, p99Ms })
  const foreground = { before: at(4), during: at(6), errors: { 503: 2 } }
  const loaded = { ...scenario, name: '1000+load', underLoad: true }
  const report = summarizeScenario(loaded, [runOf({ foreground }), runOf({ foreground })])
  assert.deepEqual(report.errors, { 503: 4 })
  const text = formatRepairReport({ fillSeconds: 1, scenarios: [report], proof: equalProof })
  assert.match(text, /p99 before, ms +4\.00\n/)
  assert.match(text, /p99 during, ms +6\.00\n/)
  assert.match(text, /all replicas hold equal bytes \(256 roots over 5,000 keys/)
})

test('replicas that differ are not said to be equal', () => {
  const proof = { ...equalProof, equal: false, findings: ['the roots of partition 7 differ'] }
  const scenarios = [summarizeScenario(scenario, [runOf()])]
  const text = formatRepairReport({ fillSeconds: 1, scenarios, proof })
  assert.match(text, /THE REPLICAS DIFFER.*\n {2}the roots of partition 7 differ\n/)
  assert.doesNotMatch(text, /equal bytes/)
})
