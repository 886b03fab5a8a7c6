import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makePair } from '../../repair/pair-proofs.ts'
import { WatermarkAges } from '../../server/repair/watermark-ages.ts'
import { type WatermarkSources, watermarkReport } from '../../server/repair/watermark-report.ts'

/** A node whose pair n1, n2 has never proven partition 0, while n1, n3 lags behind in 0 and 1. */
function heldUpSources(clockMs: () => number, isHeldUp: () => boolean): WatermarkSources {
  const clock = { now: clockMs, monotonic: clockMs }
  const nothing = { pairsWithoutProof: [], pairsNotUpToDate: [] }
  const lagging = [makePair('n3', 'n1')]
  return {
    watermarkAges: new WatermarkAges(clock),
    repair: { trees: { partitions: [0, 1, 5] } },
    cluster: { ring: { memberIds: ['n1', 'n2', 'n3'] } },
    arriving: {
      watermarks: {
        partitionsBehind: 1,
        withoutReport: () => ['n3'],
        holdup: (partition: number) => {
          if (partition === 5 || !isHeldUp()) return { partition, ...nothing }
          const pairsWithoutProof = partition === 0 ? [makePair('n1', 'n2')] : []
          return { partition, pairsWithoutProof, pairsNotUpToDate: lagging }
        }
      }
    }
  } as unknown as WatermarkSources
}

test('the pairs that hold watermarks up are named, each with its partitions', () => {
  const { pairs, membersUnheard, ...counts } = watermarkReport(
    heldUpSources(
      () => 0,
      () => true
    )
  )
  assert.deepEqual(pairs, [
    { nodes: ['n1', 'n2'], unproven: 1, notUpToDate: 0 },
    { nodes: ['n1', 'n3'], unproven: 0, notUpToDate: 2 }
  ])
  assert.deepEqual(membersUnheard, ['n3'])
  assert.deepEqual(counts, { partitions: 3, unproven: 1, heldUp: 2, behind: 1, oldestSeconds: 0 })
})

test('the age counts from when the watermark last rose, or was last seen free', () => {
  let nowMs = 0
  let isHeldUp = false
  const sources = heldUpSources(
    () => nowMs,
    () => isHeldUp
  )
  nowMs = 100_000
  assert.equal(watermarkReport(sources).oldestSeconds, null, 'nothing is held up')
  isHeldUp = true
  nowMs = 107_000
  assert.equal(watermarkReport(sources).oldestSeconds, 7)
  sources.watermarkAges.rose([0])
  nowMs = 110_000
  assert.equal(watermarkReport(sources).oldestSeconds, 10, 'partition 1 has not risen')
  sources.watermarkAges.rose([1])
  assert.equal(watermarkReport(sources).oldestSeconds, 3)
})
