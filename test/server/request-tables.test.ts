import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { PendingRequests } from '../../server/peer/pending-requests.ts'
import { RecentIds } from '../../server/peer/recent-ids.ts'

describe('PendingRequests', () => {
  test('is a map from ids to requests, whatever is taken in whatever order', () => {
    // Ids that are equal modulo 64 get into each other's way, also past the end of the table.
    const colliding = fc.tuple(fc.nat(5), fc.constantFrom(1, 2, 3, 62, 63))
    const id = fc.oneof(
      fc.integer({ min: 1, max: 400 }),
      colliding.map(([turn, home]) => turn * 64 + home)
    )
    const step = fc.record({ id, take: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const table = new PendingRequests<string>()
        const model = new Map<number, string>()
        for (const { id, take } of steps) {
          if (take) {
            assert.equal(table.take(id), model.get(id))
            model.delete(id)
          } else if (!model.has(id)) {
            table.set(id, `request ${id}`)
            model.set(id, `request ${id}`)
          }
          assert.equal(table.size, model.size)
        }
        assert.deepEqual(
          table.entries(),
          [...model].sort(([a], [b]) => a - b)
        )
      })
    )
  })

  test('nothing waits under an id that no request has', () => {
    const table = new PendingRequests<string>()
    table.set(7, 'seven')
    for (const id of [0, 8, 7 + 64, 7 + 2 ** 40]) assert.equal(table.take(id), undefined)
    table.clear()
    assert.equal(table.take(7), undefined)
    assert.equal(table.size, 0)
  })
})

describe('RecentIds', () => {
  test('notices every repetition within 8192 of the highest id, and takes older ids for repeated', () => {
    const ids = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 30_000 }))
    )
    fc.assert(
      fc.property(ids, (all) => {
        const recent = new RecentIds()
        const known = new Set<number>()
        let highest = 0
        for (const id of all) {
          const isOld = id === 0 || id <= highest - 8192
          assert.equal(recent.seen(id), isOld || known.has(id))
          known.add(id)
          highest = Math.max(highest, id)
        }
      })
    )
  })
})
