import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sliceRowsMax } from '../../core/limits.ts'
import { makeObjectKey, type ObjectKey, partitionRange } from '../../storage/keys.ts'
import type { Store } from '../../storage/store.ts'
import { seededRandom } from '../oracle/seeded-random.ts'
import { HeldDatabase } from './held-database.ts'
import { keyOf, memoryDatabase, openStore, put, take, valuesOf, writeOf } from './open-store.ts'
import { temporaryStore } from './temporary-level.ts'

const everything = partitionRange(0, 1)
const nameOf = ({ key }: ObjectKey) => Buffer.from(key).toString()
const numbered = (i: number) => keyOf(`k${String(i).padStart(4, '0')}`)
const keyAt = (first: number, rest: number) =>
  makeObjectKey(Buffer.alloc(8, rest).fill(first, 0, 1), Buffer.from('b'), Buffer.from('k'))
const remove = (store: Store, key: ObjectKey) =>
  store.mutate(key, () => ({ next: { versions: [], mintActor: null }, result: null }))

/** All that a walk in slices of `limit` rows meets; `between` is called after each slice. */
async function walkAll(
  store: Store,
  limit: number,
  between: () => void = () => {}
): Promise<string[]> {
  const names: string[] = []
  let { from } = everything
  while (true) {
    const { rows, next } = await store.walk({ from, to: everything.to }, limit)
    assert.ok(rows.length <= limit)
    for (const { key, row } of rows) {
      assert.ok(row !== null)
      names.push(nameOf(key))
    }
    between()
    if (next === null) return names
    from = next
  }
}

describe('a walk', () => {
  test('meets every row once, in order, whatever the size of its slices', async () => {
    const { store, settle } = await openStore(await memoryDatabase())
    for (let i = 0; i < 100; i++) put(store, numbered((i * 37) % 100), writeOf(`${i}`))
    await settle()
    const all = Array.from({ length: 100 }, (_, i) => nameOf(numbered(i)))
    for (const limit of [1, 7, 50, 100, 101]) assert.deepEqual(await walkAll(store, limit), all)
  })

  test('keeps to its partition', async () => {
    const { store, settle } = await openStore(await memoryDatabase())
    // The first and the last token of each of 256 ranges.
    const keys = Array.from({ length: 256 }, (_, i) =>
      [0, 255].map((rest) => keyAt(i, rest))
    ).flat()
    for (const key of keys) put(store, key, writeOf('one'))
    await settle()
    for (const partitions of [1, 2, 16, 256]) {
      for (let partition = 0; partition < partitions; partition += Math.ceil(partitions / 3)) {
        const { rows } = await store.walk(partitionRange(partition, partitions), 1000)
        const width = 512 / partitions
        assert.deepEqual(
          rows.map(({ key }) => key.id),
          keys.slice(partition * width, (partition + 1) * width).map(({ id }) => id)
        )
      }
    }
  })

  test('shows rows as they are now, changes that are not yet written included', async () => {
    const database = new HeldDatabase(await memoryDatabase())
    const { store, settle, endTurn } = await openStore(database)
    for (let i = 0; i < 4; i++) put(store, numbered(i), writeOf('old'))
    await settle()
    database.holding = true
    put(store, numbered(1), writeOf('new'))
    remove(store, numbered(2))
    endTurn()
    const { rows } = await store.walk(everything, 10)
    assert.deepEqual(
      rows.map(({ key, row }) => [nameOf(key), row?.versions.length]),
      [
        ['k0000', 1],
        ['k0001', 2],
        ['k0003', 1]
      ]
    )
  })

  test('meets rows that are new and not yet written', async () => {
    const database = new HeldDatabase(await memoryDatabase())
    const { store, settle, endTurn } = await openStore(database)
    for (const i of [1, 4, 7]) put(store, numbered(i), writeOf('old'))
    await settle()
    database.holding = true
    for (const i of [0, 2, 9]) put(store, numbered(i), writeOf('new'))
    endTurn()
    for (const limit of [1, 2, 3, 10]) {
      assert.deepEqual(
        await walkAll(store, limit),
        [0, 1, 2, 4, 7, 9].map((i) => nameOf(numbered(i))),
        `slices of ${limit}`
      )
    }
  })
})

describe('a walk under concurrent writes', () => {
  async function walkWhileWriting(store: Store, settle: () => Promise<void>): Promise<void> {
    const random = seededRandom(11)
    const total = 600
    for (let i = 0; i < total; i += 2) put(store, numbered(i), writeOf('lasting'))
    await settle()
    for (let round = 0; round < 4; round++) {
      const names = await walkAll(store, 1 + random.below(40), () => {
        for (let change = 0; change < 5; change++) {
          const i = random.below(total)
          // Even keys are overwritten, odd ones come and go.
          const row = store.read(numbered(i))
          if (i % 2 === 1 && row !== null) remove(store, numbered(i))
          else put(store, numbered(i), writeOf(`${round}`, { coversAllHeld: true }))
        }
      })
      assert.deepEqual(names, [...new Set(names)].sort(), 'in order, each once')
      const lasting = names.filter((name) => Number(name.slice(1)) % 2 === 0)
      assert.equal(lasting.length, total / 2, 'all that was there from the first to the last slice')
    }
  }

  test('is complete and in order in memory', async () => {
    const { store, settle } = await openStore(await memoryDatabase(), {
      timers: { set: () => ({}), clear() {}, atEndOfTurn: (callback) => setImmediate(callback) }
    })
    await walkWhileWriting(store, async () => {
      await store.drained()
      await settle()
    })
  })

  test('is complete and in order in LevelDB', async (t) => {
    const { store, settle } = await temporaryStore(t)
    await walkWhileWriting(store, settle)
  })
})

test('a walk goes on where a slice holds fewer rows than asked for, because they are large', async (t) => {
  const { store, settle } = await temporaryStore(t)
  const [first, ...others] = Array.from({ length: sliceRowsMax + 20 }, (_, i) => numbered(i))
  assert.ok(first !== undefined)
  for (let i = 0; i < 40; i++) put(store, first, writeOf(Buffer.alloc(4000, i)))
  const versions = store.read(first)?.versions ?? []
  for (const [i, key] of others.entries()) {
    take(store, key, versions)
    if (i % 20 === 0) await settle()
  }
  await settle()
  const names = await walkAll(store, sliceRowsMax)
  assert.equal(names.length, 1 + others.length)
})

test('a value kept apart is not read by a walk, and its row is none of the walk', async () => {
  const database = await memoryDatabase()
  const { store, settle } = await openStore(database)
  put(store, numbered(1), writeOf('x'.repeat(9000)))
  await settle()
  const { rows } = await store.walk(everything, 10)
  assert.equal(rows.length, 1)
  assert.equal(rows[0]?.row?.versions[0]?.value, null)
  assert.deepEqual(valuesOf(store, numbered(1)), ['x'.repeat(9000)])
})
