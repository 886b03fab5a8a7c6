import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createKeySources, type KeySource } from '../../server/bench/random-keys.ts'

const seeds = fc.integer({ min: 0, max: 2 ** 32 - 1 })

function take(source: KeySource | undefined, count: number): number[] {
  return Array.from({ length: count }, () => source?.() ?? Number.NaN)
}

test('seed and number of a connection decide its keys, whatever process it is in', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 0, max: 50 }), (seed, number) => {
      const selection = { kind: 'random', count: 1e9, seed } as const
      const all = createKeySources(selection, { first: 0, count: 60 })
      const some = createKeySources(selection, { first: number, count: 2 })
      const keys = take(all[number], 20)
      assert.deepEqual(take(some[0], 20), keys)
      assert.notDeepEqual(take(some[1], 20), keys)
      const [other] = createKeySources(
        { ...selection, seed: seed + 1 },
        { first: number, count: 1 }
      )
      assert.notDeepEqual(take(other, 20), keys)
    })
  )
})

test('random keys are all used, about equally often', () => {
  fc.assert(
    fc.property(seeds, (seed) => {
      const selection = { kind: 'random', count: 8, seed } as const
      const [source] = createKeySources(selection, { first: 0, count: 1 })
      const counts = new Map<number, number>()
      for (const key of take(source, 8000)) counts.set(key, (counts.get(key) ?? 0) + 1)
      assert.deepEqual([...counts.keys()].toSorted(), [0, 1, 2, 3, 4, 5, 6, 7])
      // 1000 each with a standard deviation of 30: eight of them.
      for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 240)
    }),
    { numRuns: 20 }
  )
})

test('each key of a range is handed out once, in whatever order the connections ask', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 }),
      (size, askers) => {
        const selection = { kind: 'each', from: 5, to: 5 + size } as const
        const sources = createKeySources(selection, { first: 0, count: 4 })
        const keys = askers.map((asker) => sources[asker]?.())
        const expected = askers.map((_, index) => (index < size ? 5 + index : -1))
        assert.deepEqual(keys, expected)
      }
    )
  )
})
