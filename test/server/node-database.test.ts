import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { AnnealError } from '../../core/errors.ts'
import { NodeDatabase } from '../../server/node-database.ts'

const options = { cacheBytes: 1024 * 1024, writeBufferBytes: 256 * 1024, maxOpenTables: 64 }
const damage = new AnnealError('internal', 'a file is damaged')
const never = new AbortController().signal
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const key = Buffer.from('m kept')
const known = Buffer.from('w known')

/** A data directory whose database holds a row, and one of what was known of the rows. */
async function condemned(t: TestContext) {
  const data = await mkdtemp(join(tmpdir(), 'anneal-database-'))
  t.after(() => rm(data, { recursive: true }))
  const database = new NodeDatabase(data, options, silent)
  const level = await database.open()
  const operations = [key, known].map((k) => ({ type: 'put', key: k, value: k }) as const)
  await level.batch([...operations], { sync: true })
  await level.close()
  await database.condemn(damage)
  return { data, database }
}

async function rowsIn(database: NodeDatabase): Promise<string[]> {
  const level = await database.open()
  const rows = await level.slice(Buffer.of(0), Buffer.of(255), 10)
  await level.close()
  return rows.map(([row]) => row.toString())
}

describe('a condemned database', () => {
  test('is salvaged once, whoever opens it, and stays beside the new one', async (t) => {
    const { data, database } = await condemned(t)
    const next = new NodeDatabase(data, options, silent)
    assert.equal(await next.settle(never), true)
    assert.deepEqual(await rowsIn(next), [String(key)])
    assert.deepEqual((await readdir(data)).sort(), ['db', 'db.before-salvage'])
    assert.equal(await database.settle(never), false)
  })

  for (const isGone of [false, true]) {
    test(`is replaced by the copy that is complete already (old one ${isGone ? 'gone' : 'there'})`, async (t) => {
      const { data, database } = await condemned(t)
      await cp(join(data, 'db'), join(data, 'db.salvaged'), { recursive: true })
      if (isGone) await rename(join(data, 'db'), join(data, 'db.before-salvage'))
      assert.equal(await database.settle(never), true)
      assert.deepEqual(await rowsIn(database), [String(key), String(known)])
      assert.deepEqual((await readdir(data)).sort(), ['db', 'db.before-salvage'])
    })
  }

  test('that was moved away is none any more', async (t) => {
    const { data, database } = await condemned(t)
    await rename(join(data, 'db'), join(data, 'elsewhere'))
    assert.equal(await database.settle(never), false)
    assert.deepEqual(await rowsIn(database), [])
    assert.deepEqual((await readdir(data)).sort(), ['db', 'elsewhere'])
  })

  test('is salvaged by the next process where this one is to stop', async (t) => {
    const { data, database } = await condemned(t)
    const stopping = new AbortController()
    const settled = database.settle(stopping.signal)
    stopping.abort()
    await assert.rejects(settled, (thrown) => thrown === stopping.signal.reason)
    assert.equal(await new NodeDatabase(data, options, silent).settle(never), true)
    assert.deepEqual(await rowsIn(database), [String(key)])
  })
})

test('a database of which no file of rows is left cannot be condemned', async (t) => {
  const { data, database } = await condemned(t)
  await database.settle(never)
  for (const name of await readdir(join(data, 'db'))) {
    if (/\.(ldb|log)$/.test(name)) await rm(join(data, 'db', name))
  }
  await assert.rejects(database.condemn(damage), (thrown) => thrown === damage)
  assert.ok(!(await readdir(data)).includes('salvaging'))
})

test('a log is enough to salvage a database from', async (t) => {
  const { data, database } = await condemned(t)
  for (const name of await readdir(join(data, 'db'))) {
    if (!name.endsWith('.log')) await rm(join(data, 'db', name))
  }
  assert.equal(await database.settle(never), true)
  assert.deepEqual(await rowsIn(database), [String(key)])
})

test('where nothing can be read the operator is told what to do, and all stays as it is', async (t) => {
  const { data, database } = await condemned(t)
  for (const name of await readdir(join(data, 'db'))) await rm(join(data, 'db', name))
  await mkdir(join(data, 'db', '000003.log'))
  await assert.rejects(database.settle(never), {
    code: 'internal',
    message: /could not be salvaged: .*; .*Move the directory away/
  })
  assert.deepEqual(await readdir(data), ['db'])
  assert.deepEqual(await readdir(join(data, 'db')), ['000003.log'])
})

/**
 * A database whose next opening begins to merge four tables, of which one has its first key out of order: each opening
 * makes a table of the log of the one before. Values that are random keep blocks from being packed.
 */
async function outOfOrder(t: TestContext) {
  const data = await mkdtemp(join(tmpdir(), 'anneal-database-'))
  t.after(() => rm(data, { recursive: true }))
  const database = new NodeDatabase(data, options, silent)
  for (let table = 0; table < 4; table++) {
    const level = await database.open()
    const names = Array.from({ length: 50 }, (_, i) => `m ${100 + i} ${table}`)
    await level.batch(
      names.map((name) => ({ type: 'put', key: Buffer.from(name), value: randomBytes(200) })),
      { sync: true }
    )
    await level.close()
  }
  const [first = ''] = (await readdir(join(data, 'db'))).filter((n) => n.endsWith('.ldb')).sort()
  const file = join(data, 'db', first)
  const bytes = await readFile(file)
  bytes.write('m 999', bytes.indexOf('m 100 0'))
  await writeFile(file, bytes)
  return { data, database }
}

describe('a database that ends the process which merges its tables', () => {
  test('is found out by another process, and salvaged', async (t) => {
    const { data, database } = await outOfOrder(t)
    await database.tryOut(never)
    assert.ok((await readdir(data)).includes('salvaging'))
    assert.equal(await database.settle(never), true)
    const level = await database.open()
    t.after(() => level.close())
    const rows = await level.slice(Buffer.from('m'), Buffer.from('n'), 1000)
    assert.ok(rows.length >= 150, `${rows.length} of 200 rows`)
  })

  test('is left alone where it is none', async (t) => {
    const { data, database } = await condemned(t)
    assert.equal(await database.settle(never), true)
    await database.tryOut(never)
    assert.deepEqual((await readdir(data)).sort(), ['db', 'db.before-salvage'])
  })
})
