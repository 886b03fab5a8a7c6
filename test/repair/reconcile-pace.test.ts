import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Pair } from './reconcile-pair.ts'
import { keyOf, MemorySide, sideWith, version } from './reconcile-side.ts'

const partitions = Array.from({ length: 16 }, (_, p) => p)
const rows = 3000

describe('the bytes that an exchange moves', () => {
  test('are taken from the budget of each side as they are, not as they might have been', async () => {
    const pair = new Pair(new MemorySide(), sideWith(rows))
    const { counters } = await pair.run({ partitions })
    const taken = pair.budgets.reduce((sum, bytes) => sum + bytes, 0)
    // Messages of a few KiB are free on the side that gets them.
    assert.equal(taken, counters.dataBytesReceived)
  })

  test('wait while the other side pauses, and the session does not give up', async () => {
    for (const theirs of [sideWith(rows), withUpdates()]) {
      const ours = theirs.get(keyOf('b', 'key 0')).length === 1 ? new MemorySide() : sideWith(rows)
      const pair = new Pair(ours, theirs)
      const { promise, resolve } = Promise.withResolvers<void>()
      pair.theirBudget = () => promise
      const began = pair.time.now()
      const pauseMs = 120_000
      const running = pair.start({ partitions })
      pair.time.set(resolve, pauseMs)
      const { end, reason } = await pair.time.until(running.ended)
      assert.equal(end, 'done', reason)
      assert.ok(pair.time.now() - began >= pauseMs)
      assert.deepEqual(ours.roots(), theirs.roots())
    }
  })
})

/** Rows of which the other side holds only one of two versions. */
function withUpdates(): MemorySide {
  const side = sideWith(rows)
  for (let i = 0; i < 50; i++) side.put(keyOf('b', `key ${i}`), [version('n2')])
  return side
}

describe('rows that are left to be shipped', () => {
  test('are known from the beginning where one side is empty, and fall to none', async () => {
    for (const [ours, theirs] of [
      [new MemorySide(), sideWith(rows)],
      [sideWith(rows), new MemorySide()]
    ] as const) {
      const pair = new Pair(ours, theirs)
      let most = 0
      const running = pair.start({ partitions })
      pair.onRequest = () => {
        const { rowsToShip, rowsSent, rowsReceived } = running.counters
        most = Math.max(most, rowsToShip)
        if (most > 0) assert.ok(rowsToShip + rowsSent + rowsReceived <= rows)
      }
      await pair.time.until(running.ended)
      assert.ok(most > rows * 0.8, `${most} of ${rows} rows were expected`)
      assert.equal(running.counters.rowsToShip, 0)
    }
  })
})
