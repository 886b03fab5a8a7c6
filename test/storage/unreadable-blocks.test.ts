import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { sliceRowsMax } from '../../core/limits.ts'
import { partitionRange } from '../../storage/keys.ts'
import { openLevel } from '../../storage/level.ts'
import { DamagedRowError, type Store } from '../../storage/store.ts'
import { damagedLevel, keys, levelOptions } from './damaged-level.ts'
import { put, writeOf } from './open-store.ts'
import { keyWithToken, leavesOfRows, openWorld } from './tree-world.ts'

/** Rows in tables of which one has blocks that cannot be unpacked any more. */
async function openDamaged(t: TestContext) {
  const { directory, objects } = await damagedLevel(t)
  const database = await openLevel(directory, levelOptions)
  t.after(() => database.close())
  return { database, objects }
}

function isReadable(store: Store, key: (typeof keys)[number]): boolean {
  try {
    return store.read(key) !== null
  } catch (thrown) {
    assert.ok(thrown instanceof DamagedRowError)
    return false
  }
}

describe('blocks of a table that cannot be read', () => {
  test('keep nobody from walking, counting and comparing the rows around them', async (t) => {
    const { database, objects } = await openDamaged(t)
    const { store, trees, keeper, mismatches, told } = await openWorld(database)
    put(store, keyWithToken(0, 'key 0'), writeOf('minted'))
    const lost = keys.filter((key) => !isReadable(store, key))
    assert.ok(lost.length > 5 && lost.length < keys.length / 2, `${lost.length} rows are lost`)
    await assert.rejects(
      database.slice(partitionRange(0, 1).from, partitionRange(0, 1).to, 100_000),
      'the database itself says so'
    )

    for (let partition = 0; partition < trees.partitions; partition++) {
      await keeper.verify(partition)
      await keeper.snapshot(partition)
    }
    assert.ok(mismatches.length + told.damage.length > 0, 'somebody was told')
    assert.ok(told.incarnations > 0, 'what this node had minted may be among it')
    const held = Array.from({ length: trees.partitions }, (_, p) => trees.keysIn(p))
    assert.equal(
      held.reduce((sum, count) => sum + count, 0),
      keys.length - lost.length
    )

    // What an exchange with another replica does.
    for (const key of lost) {
      const versions = objects.get(key.id) ?? []
      store.mutate(key, () => ({ next: { versions, mintActor: null }, result: null }))
    }
    await store.drained()
    for (const key of keys) assert.ok(isReadable(store, key))
    for (let partition = 0; partition < trees.partitions; partition++) {
      await keeper.ready(partition)
      assert.deepEqual(await keeper.verify(partition), [])
    }
    const leaves = await leavesOfRows(store, trees)
    for (const [place, sums] of leaves) {
      const [partition, leaf] = place.split('/').map(Number)
      const bytes = trees.leafBytes(partition ?? 0, leaf ?? 0)
      assert.equal([0, 4, 8, 12, 16].map((at) => bytes.readUInt32BE(at)).join(' '), sums)
    }
  })

  test('do not let an older copy of a row show through', async (t) => {
    const { database } = await openDamaged(t)
    const { store } = await openWorld(database)
    const walked: { readonly id: string; readonly isWhole: boolean }[] = []
    let { from } = partitionRange(0, 1)
    for (;;) {
      const { rows, next } = await store.walk({ ...partitionRange(0, 1), from }, sliceRowsMax)
      for (const { key, row } of rows) walked.push({ id: key.id, isWhole: row !== null })
      if (next === null) break
      from = next
    }
    const whole = new Set(walked.filter(({ isWhole }) => isWhole).map(({ id }) => id))
    for (const key of keys) assert.equal(whole.has(key.id), isReadable(store, key))
  })
})
