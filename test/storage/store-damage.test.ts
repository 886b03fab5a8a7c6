import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inlineValueBytesMax } from '../../core/limits.ts'
import { partitionRange, valueRowKey } from '../../storage/keys.ts'
import { DamagedRowError } from '../../storage/store.ts'
import { keyOf, memoryDatabase, openStore, put, take, valuesOf, writeOf } from './open-store.ts'

const key = keyOf('key')

/** A store with one row, of which one bit has flipped. */
async function openDamaged() {
  const database = await memoryDatabase()
  const opened = await openStore(database)
  const { version } = put(opened.store, key, writeOf('one')).result
  put(opened.store, keyOf('other'), writeOf('intact'))
  await opened.settle()
  const row = Buffer.from(database.getSync(key.row) ?? [])
  row.writeUInt8(row.readUInt8(row.length - 1) ^ 1, row.length - 1)
  await database.batch([{ type: 'put', key: key.row, value: row }], { sync: true })
  return { database, ...opened, version, incarnation: opened.store.minter.incarnation }
}

describe('a damaged row', () => {
  test('is no answer to a read, is told, and ends the incarnation', async () => {
    const { store, told, incarnation } = await openDamaged()
    assert.throws(() => store.read(key), DamagedRowError)
    assert.deepEqual(
      told.damage.map(({ key: { id } }) => id),
      [key.id]
    )
    assert.match(told.damage[0]?.reason ?? '', /checksum/)
    assert.notEqual(store.minter.incarnation, incarnation)
    assert.deepEqual(valuesOf(store, keyOf('other')), ['intact'])
  })

  test('counts as none for a mutation, which heals it', async () => {
    const { store, settle, version, told } = await openDamaged()
    const { row } = take(store, key, [version])
    assert.deepEqual(row?.versions, [version])
    assert.equal(row?.mintActor, null, 'this node may have forgotten what it minted here')
    assert.equal(told.damage.length, 1)
    await settle()
    assert.deepEqual(valuesOf(store, key), ['one'])
  })

  test('a write on it goes on under a new actor of a new incarnation', async () => {
    const { store, version, incarnation } = await openDamaged()
    const { result } = put(store, key, writeOf('two'))
    assert.notEqual(result.version.dot.actor, version.dot.actor)
    assert.ok(!result.version.dot.actor.startsWith(incarnation))
    assert.equal(take(store, key, [version]).row?.versions.length, 2)
  })

  test('shows up in a walk as a row that is not there to read', async () => {
    const { store } = await openDamaged()
    const { rows } = await store.walk(partitionRange(0, 1), 10)
    assert.deepEqual(
      rows.map(({ key: { id }, row }) => [id, row === null]),
      [
        [key.id, true],
        [keyOf('other').id, false]
      ]
    )
  })

  test('that is read again and again does not draw an incarnation each time', async () => {
    const { store } = await openDamaged()
    for (let i = 0; i < 100; i++) assert.throws(() => store.read(key), DamagedRowError)
    const { ended } = store.minter.identity(false)
    assert.ok(ended.length <= 2, `${ended.length} incarnations have ended over one damaged row`)
  })

  test('is what a failing read of the database amounts to', async () => {
    const database = await memoryDatabase()
    const failing = {
      ...database,
      getSync(row: Buffer): Buffer | undefined {
        if (row.equals(key.row)) throw new Error('Corruption: block checksum mismatch')
        return database.getSync(row)
      }
    }
    const { store, told } = await openStore(failing)
    assert.throws(() => store.read(key), DamagedRowError)
    assert.match(told.damage[0]?.reason ?? '', /block checksum mismatch/)
  })
})

describe('a damaged value that is kept apart', () => {
  test('is given up where no copy of it arrives, and its row can be read again', async () => {
    const database = await memoryDatabase()
    const { store, settle } = await openStore(database)
    const large = Buffer.alloc(inlineValueBytesMax + 1, 'x')
    const { version: lost } = put(store, key, writeOf(large)).result
    put(store, key, writeOf('sibling'))
    await settle()
    await database.batch([{ type: 'del', key: valueRowKey(key, lost.dot) }], { sync: true })
    assert.throws(() => store.withValues(key, store.read(key)?.versions ?? []), DamagedRowError)
    assert.throws(() => store.read(key), DamagedRowError)
    store.mutate(key, () => ({ next: null, result: null }))
    assert.equal(store.read(key)?.versions.length, 1)
    await settle()
    assert.deepEqual(valuesOf(store, key), ['sibling'])
  })

  test('is known also where the row itself could not be read for a while', async () => {
    const database = await memoryDatabase()
    let isFailing = false
    const { store, settle } = await openStore({
      ...database,
      getSync: (row) => {
        if (isFailing) throw new Error('IO error: too many open files')
        return database.getSync(row)
      }
    })
    const large = Buffer.alloc(inlineValueBytesMax + 1, 'x')
    const { version: lost } = put(store, key, writeOf(large)).result
    await settle()
    isFailing = true
    assert.throws(() => store.read(key), DamagedRowError)
    isFailing = false
    await database.batch([{ type: 'del', key: valueRowKey(key, lost.dot) }], { sync: true })
    assert.throws(() => store.withValues(key, [{ ...lost, value: null }]), DamagedRowError)
    store.mutate(key, (current) => {
      assert.equal(current, null, 'a version without its value is left out')
      return { next: null, result: null }
    })
  })
})
