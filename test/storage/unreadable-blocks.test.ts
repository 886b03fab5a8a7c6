import assert from 'node:assert/strict'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { sliceRowsMax } from '../../core/limits.ts'
import { partitionRange } from '../../storage/keys.ts'
import { openLevel } from '../../storage/level.ts'
import { DamagedRowError, type Store } from '../../storage/store.ts'
import { put, writeOf } from './open-store.ts'
import { temporaryLevel } from './temporary-level.ts'
import { keyWithToken, leavesOfRows, openWorld } from './tree-world.ts'

const options = {
  cacheBytes: 1024 * 1024,
  writeBufferBytes: 8 * 1024 * 1024,
  maxOpenTables: 64
}
const keys = Array.from({ length: 3000 }, (_, i) => keyWithToken(i * 1_400_000, `key ${i}`))

/** Rows in tables of which one has blocks that cannot be unpacked any more. */
async function damagedLevel(t: TestContext) {
  const { directory, database } = await temporaryLevel(t)
  const world = await openWorld(database)
  for (const key of keys) put(world.store, key, writeOf('value '.repeat(60)))
  await world.store.drained()
  const objects = new Map(keys.map((key) => [key.id, world.store.read(key)?.versions ?? []]))
  await world.keeper.close()
  await world.store.close()
  const tables = (await readdir(directory)).filter((name) => name.endsWith('.ldb'))
  const sizes = await Promise.all(
    tables.map(async (name) => ({ name, size: (await stat(join(directory, name))).size }))
  )
  const largest = sizes.reduce((a, b) => (b.size > a.size ? b : a))
  const file = await open(join(directory, largest.name), 'r+')
  await file.write(Buffer.alloc(3000, 0xff), 0, 3000, Math.floor(largest.size * 0.4))
  await file.close()
  const damaged = await openLevel(directory, options)
  t.after(() => damaged.close())
  return { database: damaged, objects }
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
    const { database, objects } = await damagedLevel(t)
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
    const { database } = await damagedLevel(t)
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
