import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LatencyHistogram } from '../../core/latency-histogram.ts'
import { partitionStandings } from '../../server/dashboard/partition-states.ts'
import { RequestRates } from '../../server/dashboard/request-figures.ts'
import type { PairReport } from '../../server/repair/repair-report.ts'

test('rates and percentiles are those since the last look, over all operations', () => {
  const gets = new LatencyHistogram()
  const latencies = new Map([['get', gets]])
  for (let i = 0; i < 1000; i++) gets.observe(900)
  const rates = new RequestRates(latencies)
  rates.restart(0)
  const puts = new LatencyHistogram()
  latencies.set('put', puts)
  for (let i = 0; i < 98; i++) gets.observe(1)
  for (let i = 0; i < 2; i++) puts.observe(100)
  const { perSecond, p50Ms, p99Ms } = rates.look(2000)
  assert.deepEqual(perSecond, { get: 49, put: 1 })
  assert.ok(p50Ms !== null && p50Ms >= 1 && p50Ms < 1.3, `p50 ${p50Ms}`)
  assert.ok(p99Ms !== null && p99Ms >= 100 && p99Ms < 130, `p99 ${p99Ms}`)
  assert.deepEqual(rates.look(3000), { perSecond: { get: 0, put: 0 }, p50Ms: null, p99Ms: null })
})

test('a partition stands as it does with the worst of its replicas', () => {
  const pair = (partition: number, state: PairReport['state'], lastRepaired: string | null) =>
    ({ partition, state, lastRepaired }) as PairReport
  assert.deepEqual(
    partitionStandings([
      pair(7, 'equal', '1970-01-01T00:00:30.500Z'),
      pair(7, 'differs', '1970-01-01T00:00:10.000Z'),
      pair(2, 'equal', '1970-01-01T00:00:30.000Z'),
      pair(2, 'never', null)
    ]),
    [
      { id: 2, state: 'never', equalAt: null },
      { id: 7, state: 'differs', equalAt: 10 }
    ]
  )
})
