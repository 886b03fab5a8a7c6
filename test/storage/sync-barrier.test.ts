import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { Database, DatabaseOperation } from '../../storage/database.ts'
import { openLevel } from '../../storage/level.ts'
import { memoryBytesMax, withSyncBarrier } from '../../storage/sync-barrier.ts'
import { temporaryLevel } from './temporary-level.ts'

const options = { cacheBytes: 1024 * 1024, writeBufferBytes: 256 * 1024, maxOpenTables: 64 }
const end = Buffer.of(0xff)

function rowAt(index: number, valueBytes: number): DatabaseOperation {
  const key = Buffer.alloc(5, 1)
  key.writeUInt32BE(index, 1)
  return { type: 'put', key, value: Buffer.alloc(valueBytes, index) }
}

async function logsIn(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith('.log')).sort()
}

async function filesIn(directory: string): Promise<string[]> {
  const sizes: string[] = []
  for (const name of (await readdir(directory)).sort()) {
    const file = await stat(join(directory, name)).catch(() => null)
    sizes.push(`${name} ${file?.size}`)
  }
  return sizes
}

// Tables are merged in the background: where one has come or gone meanwhile, the copy is of no moment.
async function copyOfOneMoment(from: string, to: string): Promise<void> {
  for (;;) {
    const before = await filesIn(from)
    const [copied] = await Promise.allSettled([cp(from, to, { recursive: true })])
    if (isDeepStrictEqual(await filesIn(from), before)) {
      if (copied.status === 'rejected') throw copied.reason
      return
    }
    await rm(to, { recursive: true })
  }
}

/** What is left where all logs but the newest, which was synced last, never reached the disk. */
async function rowsAfterPowerFailure(directory: string, t: { after(f: () => unknown): void }) {
  const left = await mkdtemp(join(tmpdir(), 'anneal-level-'))
  t.after(() => rm(left, { recursive: true, force: true }))
  await copyOfOneMoment(directory, left)
  for (const name of (await logsIn(left)).slice(0, -1)) await truncate(join(left, name))
  const after = await openLevel(left, options)
  t.after(() => after.close())
  return (await after.slice(Buffer.of(1), end, 100_000)).length
}

describe('before a batch is synced', () => {
  for (const rows of [10, 400, 2000]) {
    test(`all ${rows} rows before it are in its log or in tables`, async (t) => {
      const { directory, database } = await temporaryLevel(t, 256 * 1024)
      for (let i = 0; i < rows; i++) await database.batch([rowAt(i, 1000)], { sync: false })
      await database.batch([rowAt(rows, 0)], { sync: true })
      assert.equal(await rowsAfterPowerFailure(directory, t), rows + 1)
    })
  }

  test('a flush is asked for where another log may have begun, and only there', async () => {
    const done: string[] = []
    const inner: Pick<Database, 'batch'> = {
      batch: (_operations, { sync }) => {
        done.push(sync ? 'sync' : 'write')
        return Promise.resolve()
      }
    }
    const database = withSyncBarrier({
      database: inner as Database,
      writeBufferBytes: 64 * 1024,
      flush: () => {
        done.push('flush')
        return Promise.resolve()
      }
    })
    const small = [rowAt(1, 10)]
    const large = [rowAt(2, 64 * 1024)]
    await database.batch(small, { sync: false })
    await database.batch(small, { sync: true })
    await database.batch(large, { sync: true })
    await database.batch(small, { sync: true })
    assert.deepEqual(done.splice(0), ['write', 'sync', 'sync', 'sync'], 'all before is synced')
    await database.batch(small, { sync: false })
    await database.batch(small, { sync: true })
    assert.deepEqual(done.splice(0), ['write', 'flush', 'sync'])
    await database.batch(large, { sync: false })
    await database.batch(small, { sync: true })
    await database.batch(small, { sync: false })
    await database.batch(small, { sync: true })
    assert.deepEqual(done, ['write', 'flush', 'sync', 'write', 'sync'], 'its memory was empty')
  })

  test('few tables are written for many syncs', async (t) => {
    const { directory, database } = await temporaryLevel(t, 256 * 1024)
    for (let i = 0; i < 200; i++) {
      await database.batch([rowAt(2 * i, 100)], { sync: false })
      await database.batch([rowAt(2 * i + 1, 100)], { sync: true })
    }
    const tables = (await readdir(directory)).filter((name) => name.endsWith('.ldb'))
    assert.ok(tables.length <= 1, `${tables.length} tables`)
  })
})

describe('the memory that a batch is taken to need', () => {
  for (const valueBytes of [0, 20, 300, 900, 1100, 3000, 20_000]) {
    test(`is no less than what LevelDB needs: values of ${valueBytes} bytes`, async (t) => {
      const { directory, database } = await temporaryLevel(t, 256 * 1024)
      const before = await logsIn(directory)
      let needed = 8 * 1024
      for (let i = 0; needed <= 256 * 1024; i++) {
        const operations = [rowAt(i, valueBytes)]
        await database.batch(operations, { sync: false })
        needed += memoryBytesMax(operations)
      }
      assert.deepEqual(await logsIn(directory), before)
    })
  }
})
