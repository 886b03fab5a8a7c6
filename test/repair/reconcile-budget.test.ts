import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { BulkSide, Population } from './reconcile-bulk-side.ts'
import { Pair } from './reconcile-pair.ts'

const partitionCount = 256
const partitions = Array.from({ length: partitionCount }, (_, p) => p)
const population = new Population(1_000_000, partitionCount)

async function exchange(stale: number, staleIsOurs: boolean) {
  const ours = new BulkSide(population, 1)
  const theirs = new BulkSide(population, 1)
  const behind = staleIsOurs ? ours : theirs
  const step = Math.floor(population.size / Math.max(1, stale))
  for (let n = 0; n < stale; n++) behind.generations[n * step] = 0
  const pair = new Pair(ours, theirs)
  const outcome = await pair.run({ partitions })
  assert.equal(outcome.end, 'done', outcome.reason)
  for (const { verdict, reason } of outcome.partitions.values())
    assert.equal(verdict, 'equal', reason)
  assert.ok(ours.generations.every((generation) => generation === 1))
  assert.ok(theirs.generations.every((generation) => generation === 1))
  const { counters } = outcome
  assert.equal(counters.differences, stale)
  assert.equal(counters.rowsSent + counters.rowsReceived, stale)
  const dataBytes = counters.dataBytesSent + counters.dataBytesReceived
  assert.ok(pair.bytes <= counters.indexBytes + dataBytes, 'no byte is left out of the count')
  return { ...counters, dataBytes }
}

describe('of 1,000,000 keys in 256 partitions', () => {
  test('none differ: at most 8 KB', async () => {
    const { indexBytes, roundTrips } = await exchange(0, true)
    assert.ok(indexBytes <= 8 * 1024, `${indexBytes} bytes`)
    assert.equal(roundTrips, 2)
  })

  for (const staleIsOurs of [true, false]) {
    const side = staleIsOurs ? 'on the side that asks' : 'on the side that is asked'
    test(`3 are stale ${side}: at most 16 KB of index and 5 round trips`, async () => {
      const { indexBytes, roundTrips } = await exchange(3, staleIsOurs)
      assert.ok(indexBytes <= 16 * 1024, `${indexBytes} bytes`)
      assert.ok(roundTrips <= 5, `${roundTrips} round trips`)
    })

    test(`1,000 are stale ${side}: at most 1 KB of index for each`, async () => {
      const { indexBytes } = await exchange(1000, staleIsOurs)
      assert.ok(indexBytes <= 1000 * 1024, `${indexBytes} bytes`)
    })
  }

  // The side that asks needs more words to get rows than to give them.
  test('100,000 are stale on the side that asks: the index is at most a fifth of the rows', async () => {
    const { indexBytes, dataBytes } = await exchange(100_000, true)
    assert.ok(indexBytes <= dataBytes / 5, `${indexBytes} of ${dataBytes} bytes`)
  })
})
