import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { Database } from '../../storage/database.ts'
import { checkpointRowKey, dirtyRowKey } from '../../storage/keys.ts'
import { holdsRows, openLevel } from '../../storage/level.ts'
import { type SalvageWay, salvageLevel } from '../../storage/level-salvage.ts'
import { WatermarkStore } from '../../storage/watermark-store.ts'
import { damagedLevel, keys, levelOptions } from './damaged-level.ts'
import { rowsUnder } from './open-store.ts'
import { temporaryStore } from './temporary-level.ts'
import { leavesOfRows, leavesOfTrees, openWorld } from './tree-world.ts'

const objects = [Buffer.from('o'), Buffer.from('p')] as const

async function readableRows(directory: string): Promise<string[]> {
  const database = await openLevel(directory, levelOptions)
  const rows = await database.sliceReadable?.(...objects, keys.length)
  await database.close()
  assert.ok(rows !== undefined)
  // No bytes: only an older copy can be read.
  return idsOf(rows.filter(([, bytes]) => bytes.length > 0))
}

async function salvaged(
  t: TestContext,
  directory: string,
  way: SalvageWay = 'levels'
): Promise<Database> {
  const into = `${directory}.salvaged`
  t.after(() => rm(into, { recursive: true, force: true }))
  const copied = await salvageLevel(directory, into, levelOptions, way)
  const database = await openLevel(into, levelOptions)
  t.after(() => database.close())
  assert.equal((await database.slice(Buffer.of(0), Buffer.of(255), 100_000)).length, copied)
  return database
}

function idsOf(rows: readonly (readonly [Buffer, Buffer])[]): string[] {
  return rows.map(([key]) => key.toString('latin1'))
}

describe('a salvage', () => {
  for (const way of ['levels', 'tables'] as const) {
    test(`keeps every row that can be read, and leaves nothing that cannot (${way})`, async (t) => {
      const { directory } = await damagedLevel(t)
      const readable = await readableRows(directory)
      assert.ok(readable.length < keys.length && readable.length > keys.length / 2)
      const database = await salvaged(t, directory, way)
      assert.deepEqual(idsOf(await database.slice(...objects, keys.length)), readable)
      const world = await openWorld(database)
      for (let partition = 0; partition < world.trees.partitions; partition++) {
        assert.deepEqual(await world.keeper.verify(partition), [])
      }
      assert.deepEqual(leavesOfTrees(world.trees), await leavesOfRows(world.store, world.trees))
      assert.deepEqual(world.told.damage, [])
    })
  }

  for (const list of ['CURRENT', 'MANIFEST']) {
    test(`keeps as much where the list of the tables is gone (${list})`, async (t) => {
      const { directory } = await damagedLevel(t)
      const readable = await readableRows(directory)
      for (const name of await readdir(directory)) {
        if (name.startsWith(list)) await rm(join(directory, name))
      }
      const before = await readdir(directory)
      await assert.rejects(openLevel(directory, levelOptions))
      const database = await salvaged(t, directory, 'tables')
      assert.deepEqual(idsOf(await database.slice(...objects, keys.length)), readable)
      for (const name of before) assert.ok((await readdir(directory)).includes(name), name)
      const beside = await readdir(dirname(directory))
      assert.deepEqual(
        beside.filter((name) => name.startsWith(basename(directory))),
        [basename(directory), `${basename(directory)}.salvaged`]
      )
    })
  }

  test('has nothing to begin with where there are no files of rows', async (t) => {
    const { directory } = await damagedLevel(t)
    assert.equal(await holdsRows(directory), true)
    for (const name of await readdir(directory)) {
      if (/\.(ldb|log)$/.test(name)) await rm(join(directory, name))
    }
    assert.equal(await holdsRows(directory), false)
    assert.equal(await holdsRows(join(directory, 'nowhere')), false)
  })

  test('keeps nothing of what was known of the rows, and all the rest', async (t) => {
    const { directory, database, store, settle } = await temporaryStore(t)
    const watermarks = new WatermarkStore(store, 600)
    watermarks.saveTable(Buffer.from('table'))
    watermarks.saveLists(
      Array.from({ length: 600 }, (_, partition) => ({
        list: 'proof a b',
        partition,
        content: Buffer.from(`content ${partition}`)
      }))
    )
    const known = [checkpointRowKey(3), dirtyRowKey(3, 4)]
    void store.changeAside(
      known.map((key) => ({ type: 'put', key, content: Buffer.from('known') }) as const)
    )
    void store.writeMeta('name', Buffer.from('kept'))
    await settle()
    assert.ok((await rowsUnder(database, 'w')).length > 600)
    const metas = await rowsUnder(database, 'm')
    assert.ok(metas.length > 0)
    await store.close()
    const copy = await salvaged(t, directory)
    for (const kind of 'wcd') assert.deepEqual(await rowsUnder(copy, kind), [], kind)
    assert.deepEqual(idsOf(await rowsUnder(copy, 'm')), idsOf(metas))
  })
})
