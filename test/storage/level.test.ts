import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { AnnealError } from '../../core/errors.ts'
import { explainFirstReads, openLevel } from '../../storage/level.ts'
import { keyOf, openStore, put, valuesOf, writeOf } from './open-store.ts'
import { temporaryLevel } from './temporary-level.ts'

const options = {
  cacheBytes: 1024 * 1024,
  writeBufferBytes: 256 * 1024,
  maxOpenTables: 64
}

describe('a LevelDB', () => {
  test('holds rows over a close, and gives slices in the order of their bytes', async (t) => {
    const parent = await mkdtemp(join(tmpdir(), 'anneal-level-'))
    t.after(() => rm(parent, { recursive: true, force: true }))
    const directory = join(parent, 'made', 'as', 'needed')
    const database = await openLevel(directory, options)
    const rows = [Buffer.of(0), Buffer.of(0, 0), Buffer.of(0x7f), Buffer.of(0x80), Buffer.of(0xff)]
    const operations = [...rows].reverse().map((key) => ({ type: 'put' as const, key, value: key }))
    await database.batch(operations, { sync: true })
    await database.close()

    const again = await openLevel(directory, options)
    assert.deepEqual(await again.slice(Buffer.of(0, 0), Buffer.of(0xff), 10), [
      [Buffer.of(0, 0), Buffer.of(0, 0)],
      [Buffer.of(0x7f), Buffer.of(0x7f)],
      [Buffer.of(0x80), Buffer.of(0x80)]
    ])
    assert.equal((await again.slice(Buffer.of(0), Buffer.of(0xff), 2)).length, 2)
    assert.deepEqual(again.getSync(Buffer.of(0x7f)), Buffer.of(0x7f))
    assert.equal(again.getSync(Buffer.of(1)), undefined)
    await again.close()
  })

  test('does the operations of a batch in their order', async (t) => {
    const { database } = await temporaryLevel(t)
    const key = Buffer.of(1)
    await database.batch(
      [
        { type: 'put', key, value: Buffer.of(1) },
        { type: 'del', key },
        { type: 'put', key, value: Buffer.of(2) }
      ],
      { sync: true }
    )
    assert.deepEqual(database.getSync(key), Buffer.of(2))
  })

  test('that opens with a table which cannot be read is explained where somebody reads', async (t) => {
    const { directory, database } = await temporaryLevel(t, 64 * 1024)
    const value = Buffer.alloc(1000, 1)
    for (let i = 0; i < 100; i++) {
      await database.batch([{ type: 'put', key: Buffer.of(1, i), value }], { sync: true })
    }
    // What is closed writes no more tables and takes none away.
    await database.close()
    const tables = (await readdir(directory)).filter((name) => name.endsWith('.ldb'))
    assert.ok(tables.length > 0)
    for (const name of tables) await truncate(join(directory, name))
    const opened = await openLevel(directory, options)
    t.after(() => opened.close())
    const thrown = await opened.slice(Buffer.of(0), Buffer.of(9), 1000).then(
      () => null,
      (error: unknown) => error
    )
    const explained = explainFirstReads(directory, thrown)
    assert.ok(explained instanceof AnnealError)
    assert.match(explained.message, /\.ldb: .*Move the directory away/)
    const other = new Error('something else')
    assert.equal(explainFirstReads(directory, other), other)
  })

  test('in use by another is refused with what to do', async (t) => {
    const { directory } = await temporaryLevel(t)
    await assert.rejects(openLevel(directory, options), (error) => {
      assert.ok(error instanceof AnnealError)
      assert.ok(error.message.includes(directory))
      assert.match(error.message, /Another process has it open/)
      return true
    })
  })

  test('whose files are damaged is refused with what to do', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'anneal-level-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const database = await openLevel(directory, options)
    await database.close()
    await writeFile(join(directory, 'CURRENT'), 'MANIFEST-999999\n')
    await assert.rejects(openLevel(directory, options), (error) => {
      assert.ok(error instanceof AnnealError)
      assert.match(error.message, /Move the directory away|Check that the directory/)
      return true
    })
  })

  test('where a file is in the way is refused with what to do', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'anneal-level-'))
    t.after(() => rm(directory, { recursive: true, force: true }))
    const file = join(directory, 'file')
    await writeFile(file, '')
    await assert.rejects(openLevel(file, options), (error) => {
      assert.ok(error instanceof AnnealError)
      assert.ok(error.message.includes(file))
      return true
    })
  })
})

test('a store on LevelDB holds what it acknowledged over a clean stop', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'anneal-level-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const timers = { set: () => ({}), clear() {}, atEndOfTurn: setImmediate }
  const first = await openStore(await openLevel(directory, options), { timers })
  const key = keyOf('key')
  await put(first.store, key, writeOf('x'.repeat(5000))).durable
  put(first.store, keyOf('beside'), writeOf('staged when the stop came'))
  await first.store.close()

  const second = await openStore(await openLevel(directory, options), { timers })
  t.after(() => second.store.close())
  assert.deepEqual(valuesOf(second.store, key), ['x'.repeat(5000)])
  assert.deepEqual(valuesOf(second.store, keyOf('beside')), ['staged when the stop came'])
})
