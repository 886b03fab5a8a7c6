import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { withRowCache } from '../../storage/cached-database.ts'
import type { Database, DatabaseOperation } from '../../storage/database.ts'
import { makeObjectKey, metaRowKey } from '../../storage/keys.ts'
import { RowCache } from '../../storage/row-cache.ts'
import { lawRuns } from '../core/law-runs.ts'
import { memoryDatabase, openStore, put, valuesOf, writeOf } from './open-store.ts'

/** Keys of which several share a token, as a hash of 64 bits nearly never does. */
function rowKey(number: number): Buffer {
  const token = Buffer.alloc(8)
  token.writeUInt32BE(number % 7, 4)
  return makeObjectKey(token, Buffer.from('b'), Buffer.from(`key-${number}`)).row
}

const step = fc.record({
  kind: fc.constantFrom('set', 'set', 'set', 'delete', 'get'),
  key: fc.nat(60),
  length: fc.oneof(fc.nat(60), fc.nat(700), fc.integer({ min: 16_000, max: 17_000 })),
  fill: fc.nat(255)
})

describe('a row cache', () => {
  test('gives what was put last or nothing, whatever is pushed out', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: 40_000 }),
        fc.array(step, { maxLength: 400 }),
        (capacity, steps) => {
          const cache = new RowCache(capacity)
          const model = new Map<number, Buffer>()
          for (const { kind, key, length, fill } of steps) {
            if (kind === 'set') {
              model.set(key, Buffer.alloc(length, fill))
              cache.set(rowKey(key), Buffer.alloc(length, fill))
            } else if (kind === 'delete') {
              model.delete(key)
              cache.delete(rowKey(key))
            }
            const found = cache.get(rowKey(key))
            if (found !== undefined) assert.deepEqual(found, model.get(key))
          }
          for (let key = 0; key <= 60; key++) {
            const found = cache.get(rowKey(key))
            if (found !== undefined) assert.deepEqual(found, model.get(key))
          }
        }
      ),
      lawRuns(300)
    )
  })

  test('keeps the rows of the last round, and those whose bytes fit in their place', () => {
    const cache = new RowCache(64 * 1024)
    for (let key = 0; key < 1000; key++) cache.set(spreadKey(key), Buffer.alloc(400, key))
    const kept = [...Array(1000).keys()].filter((key) => cache.get(spreadKey(key)) !== undefined)
    assert.ok(kept.length > 140 && kept.length <= 151, `${kept.length} rows`)
    assert.equal(kept.at(-1), 999)
    for (const key of kept) cache.set(spreadKey(key), Buffer.alloc(400, 7))
    for (const key of kept) assert.deepEqual(cache.get(spreadKey(key)), Buffer.alloc(400, 7))
  })

  test('what it gave stays as it was', () => {
    const cache = new RowCache(1024)
    cache.set(rowKey(1), Buffer.from('one'))
    const given = cache.get(rowKey(1))
    cache.set(rowKey(1), Buffer.from('two'))
    assert.equal(String(given), 'one')
  })
})

function spreadKey(number: number): Buffer {
  const token = Buffer.alloc(8)
  token.writeUInt32BE(Math.imul(number + 1, 0x9e3779b1) >>> 0, 4)
  return makeObjectKey(token, Buffer.from('b'), Buffer.from(`key-${number}`)).row
}

const operation = fc.record({
  type: fc.constantFrom('put', 'put', 'del'),
  key: fc.nat(12),
  length: fc.nat(300),
  fill: fc.nat(255)
})

describe('a database with a row cache', () => {
  test('answers as the database without it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 8, max: 4000 }),
        fc.array(fc.array(operation, { minLength: 1, maxLength: 5 }), { maxLength: 30 }),
        async (capacity, batches) => {
          const plain = await memoryDatabase()
          const cached = withRowCache(plain, capacity)
          for (const batch of batches) {
            await cached.batch(batch.map(toOperation), { sync: true })
            for (let key = 0; key <= 12; key++) {
              assert.deepEqual(cached.getSync(rowKey(key)), plain.getSync(rowKey(key)))
            }
          }
          await cached.close()
        }
      ),
      lawRuns(50)
    )
  })

  test('asks the database for a row once, and for rows of other kinds always', async () => {
    const { database, asked } = await counted()
    const cached = withRowCache(database, 1024)
    const meta = metaRowKey('name')
    await database.batch([putOf(rowKey(1), 'one'), putOf(meta, 'meta')], { sync: true })
    for (let i = 0; i < 3; i++) {
      assert.equal(String(cached.getSync(rowKey(1))), 'one')
      assert.equal(String(cached.getSync(meta)), 'meta')
    }
    assert.deepEqual(asked, { rows: 1, others: 3 })
    await cached.batch([putOf(rowKey(1), 'two')], { sync: true })
    assert.equal(String(cached.getSync(rowKey(1))), 'two')
    assert.equal(asked.rows, 1)
  })

  test('keeps no row that was only written, which would push out those in use', async () => {
    const { database, asked } = await counted()
    const cached = withRowCache(database, 4096)
    await database.batch([putOf(rowKey(1), 'one')], { sync: true })
    cached.getSync(rowKey(1))
    const many = Array.from({ length: 50 }, (_, i) => putOf(spreadKey(i), 'x'.repeat(400)))
    await cached.batch(many, { sync: true })
    assert.equal(String(cached.getSync(rowKey(1))), 'one')
    assert.equal(asked.rows, 1)
    for (let i = 0; i < 2; i++) assert.equal(cached.getSync(spreadKey(49))?.length, 400)
    assert.equal(asked.rows, 2)
  })

  test('knows nothing any more after a batch that failed', async () => {
    const { database, asked } = await counted()
    const cached = withRowCache(
      {
        ...database,
        batch: async (operations, options) => {
          if (operations.length > 1) throw new Error('no space left on device')
          await database.batch(operations, options)
        }
      },
      1024
    )
    await cached.batch([putOf(rowKey(1), 'one')], { sync: true })
    assert.equal(String(cached.getSync(rowKey(1))), 'one')
    const failing = [putOf(rowKey(1), 'two'), putOf(rowKey(2), 'two')]
    await assert.rejects(cached.batch(failing, { sync: true }))
    assert.equal(String(cached.getSync(rowKey(1))), 'one')
    assert.equal(asked.rows, 2)
  })

  test('a store that doubts what is on its disk reads it from there', async () => {
    const { database, asked } = await counted()
    const { store, settle } = await openStore(withRowCache(database, 64 * 1024))
    const key = makeObjectKey(Buffer.alloc(8, 1), Buffer.from('b'), Buffer.from('k'))
    put(store, key, writeOf('value'))
    await settle()
    assert.deepEqual(valuesOf(store, key), ['value'])
    const before = asked.rows
    assert.deepEqual(valuesOf(store, key), ['value'])
    assert.equal(asked.rows, before)
    store.renewIncarnation('a row is damaged')
    assert.deepEqual(valuesOf(store, key), ['value'])
    assert.equal(asked.rows, before + 1)
  })
})

function toOperation({
  type,
  key,
  length,
  fill
}: {
  readonly type: string
  readonly key: number
  readonly length: number
  readonly fill: number
}): DatabaseOperation {
  return type === 'del'
    ? { type: 'del', key: rowKey(key) }
    : { type: 'put', key: rowKey(key), value: Buffer.alloc(length, fill) }
}

function putOf(key: Buffer, value: string): DatabaseOperation {
  return { type: 'put', key, value: Buffer.from(value) }
}

/** A database, and how often its rows were asked for. */
async function counted(): Promise<{
  database: Database
  asked: { rows: number; others: number }
}> {
  const database = await memoryDatabase()
  const asked = { rows: 0, others: 0 }
  const getSync = (key: Buffer) => {
    if (key[0] === 'o'.charCodeAt(0)) asked.rows++
    else asked.others++
    return database.getSync(key)
  }
  return { database: { ...database, getSync }, asked }
}
