import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inlineValueBytesMax } from '../../core/limits.ts'
import type { Database } from '../../storage/database.ts'
import { decodeForeignObject } from '../../storage/object-codec.ts'
import { DamagedRowError, type Store } from '../../storage/store.ts'
import {
  keyOf,
  memoryDatabase,
  openStore,
  put,
  rowsUnder,
  take,
  valuesOf,
  writeOf
} from './open-store.ts'

const key = keyOf('key')
const large = 'a'.repeat(inlineValueBytesMax + 1)
const larger = 'b'.repeat(50_000)

async function openWith(...values: string[]) {
  const database = await memoryDatabase()
  const opened = await openStore(database)
  const made = values.map((value) => put(opened.store, key, writeOf(value)).result)
  await opened.settle()
  const versions = made.map(({ version }) => version)
  return { database, ...opened, versions, context: made.at(-1)?.context ?? new Map() }
}

const valueRowCount = async (database: Database) => (await rowsUnder(database, 'v')).length

async function damageValueRows(database: Database, at = 100): Promise<void> {
  for (const [rowKey, row] of await rowsUnder(database, 'v')) {
    const value = Buffer.from(row)
    value.writeUInt8(value.readUInt8(at) ^ 4, at)
    await database.batch([{ type: 'put', key: rowKey, value }], { sync: true })
  }
}

describe('values above the inline limit', () => {
  test('live in rows of their own, and the object stays small', async () => {
    const { database, store } = await openWith(large, 'small', larger)
    assert.equal(await valueRowCount(database), 2)
    const [object] = await rowsUnder(database, 'o')
    assert.ok(object !== undefined && object[1].length < 1000)
    assert.deepEqual(valuesOf(store, key), [large, larger, 'small'])
  })

  test('are inline up to the limit', async () => {
    const { database, store } = await openWith('x'.repeat(inlineValueBytesMax))
    assert.equal(await valueRowCount(database), 0)
    assert.equal(valuesOf(store, key)[0]?.length, inlineValueBytesMax)
  })

  test('travel with the object', async () => {
    const { store, versions } = await openWith(large, 'small')
    const row = store.read(key)
    assert.ok(row !== null)
    const received = decodeForeignObject(store.wholeObject(key, row))
    assert.deepEqual(
      new Set(received.map(({ value }) => String(value))),
      new Set(versions.map(({ value }) => String(value)))
    )
  })

  test('are removed when they are overwritten, and with the row', async () => {
    const { database, store, settle, context } = await openWith(large)
    put(store, key, writeOf(larger, { context }))
    await settle()
    assert.equal(await valueRowCount(database), 1)
    assert.deepEqual(valuesOf(store, key), [larger])
    store.mutate(key, () => ({ next: { versions: [], mintActor: null }, result: null }))
    await settle()
    assert.equal(await valueRowCount(database), 0)
  })

  test('stay when another version joins theirs, and when the object comes once more', async () => {
    const { database, store, settle, versions } = await openWith(large)
    put(store, key, writeOf('beside'))
    take(store, key, versions)
    await settle()
    assert.equal(await valueRowCount(database), 1)
    assert.deepEqual(valuesOf(store, key), [large, 'beside'])
  })

  test('that were overwritten within one batch leave nothing behind', async () => {
    const { database, store, settle } = await openWith()
    const { context } = put(store, key, writeOf(large)).result
    put(store, key, writeOf('small', { context }))
    await settle()
    assert.equal(await valueRowCount(database), 0)
    assert.deepEqual(valuesOf(store, key), ['small'])
  })
})

describe('damage in a value that is kept apart', () => {
  const readValue = (store: Store): unknown => valuesOf(store, key)

  test('is noticed: told to the owner, and the incarnation ends', async () => {
    const { database, store, told } = await openWith(large)
    const { incarnation } = store.minter
    await damageValueRows(database)
    assert.throws(() => readValue(store), DamagedRowError)
    assert.equal(told.damage.length, 1)
    assert.equal(told.damage[0]?.key.id, key.id)
    assert.notEqual(store.minter.incarnation, incarnation)
  })

  test('a value that is missing is damage, too', async () => {
    const { database, store } = await openWith(large)
    for (const [rowKey] of await rowsUnder(database, 'v')) {
      await database.batch([{ type: 'del', key: rowKey }], { sync: true })
    }
    assert.throws(() => readValue(store), DamagedRowError)
  })

  test('is healed by the next merge that brings the version', async () => {
    const { database, store, settle, versions } = await openWith(large, 'small')
    await damageValueRows(database)
    assert.throws(() => readValue(store), DamagedRowError)
    take(
      store,
      key,
      versions.filter(({ size }) => size === large.length)
    )
    assert.deepEqual(readValue(store), [large, 'small'])
    await settle()
    assert.deepEqual(readValue(store), [large, 'small'])
  })

  test('takes the row along: it is no answer to a read until it is healed', async () => {
    const { database, store } = await openWith(large, 'small')
    await damageValueRows(database)
    assert.throws(() => readValue(store), DamagedRowError)
    // Half an answer would count towards a quorum, and the other half may be nowhere else among those that answer.
    assert.throws(() => store.read(key), DamagedRowError)
  })

  test('leaves nothing behind once the version is overwritten', async () => {
    const { database, store, settle, context } = await openWith(large)
    await damageValueRows(database)
    assert.throws(() => readValue(store), DamagedRowError)
    put(store, key, writeOf('small', { context }))
    await settle()
    assert.deepEqual(readValue(store), ['small'])
    assert.equal(await valueRowCount(database), 0)
  })

  test('is not what a reader meets whose object has been overwritten meanwhile', async () => {
    const { store, settle, told, context } = await openWith(large)
    const old = store.read(key)
    assert.ok(old !== null)
    const { incarnation } = store.minter
    put(store, key, writeOf('small', { context }))
    await settle()
    assert.throws(() => store.withValues(key, old.versions), 'the value is gone')
    assert.equal(told.damage.length, 0, 'the value went away with its version')
    assert.equal(store.minter.incarnation, incarnation)
  })
})
