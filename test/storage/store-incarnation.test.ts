import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database } from '../../storage/database.ts'
import { metaRowKey } from '../../storage/keys.ts'
import { decodeIdentity, type Identity } from '../../storage/minter.ts'
import { decodeSealed } from '../../storage/row-codec.ts'
import { emptyVector, isOfIncarnation, makeActor } from '../../storage/version-vector.ts'
import { HeldDatabase } from './held-database.ts'
import { keyOf, memoryDatabase, openStore, put, writeOf } from './open-store.ts'

const key = keyOf('key')
const identityKey = metaRowKey('identity')

function identityOn(database: Database): Identity {
  const row = database.getSync(identityKey)
  assert.ok(row !== undefined)
  return decodeIdentity(decodeSealed(identityKey, row))
}

/** A database that survives being closed, as the files of a real one do. */
async function lastingDatabase(): Promise<Database> {
  return { ...(await memoryDatabase()), close: async () => {} }
}

describe('an incarnation', () => {
  test('is on disk, synced, before the store is open', async () => {
    const held = new HeldDatabase(await memoryDatabase())
    held.holding = true
    let opened = false
    const opening = openStore(held).then((result) => {
      opened = true
      return result
    })
    await nextTurn()
    assert.equal(opened, false)
    const batch = held.next()
    assert.equal(batch.sync, true)
    await batch.release()
    const { store } = await opening
    assert.equal(identityOn(held).incarnation, store.minter.incarnation)
    assert.equal(identityOn(held).clean, false)
  })

  test('is synced before the store is open even where writes are not', async () => {
    const held = new HeldDatabase(await memoryDatabase())
    held.holding = true
    const opening = openStore(held, { durability: 'os' })
    await nextTurn()
    const batch = held.next()
    assert.equal(batch.sync, true)
    await batch.release()
    await opening
  })

  test('ends at every stop, also one in order: the disk may be an old copy', async () => {
    const database = await lastingDatabase()
    const first = await openStore(database)
    put(first.store, key, writeOf('one'))
    await first.settle()
    await first.store.close()
    assert.equal(identityOn(database).clean, true)

    const { store } = await openStore(database)
    assert.notEqual(store.minter.incarnation, first.store.minter.incarnation)
    assert.deepEqual(identityOn(database).ended, [first.store.minter.incarnation])
    assert.equal(identityOn(database).clean, false, 'running: a crash now is no stop in order')
  })

  test('ends with anything but a clean stop', async () => {
    const database = await lastingDatabase()
    const first = await openStore(database)
    put(first.store, key, writeOf('one'))
    await first.settle()
    const { store } = await openStore(database)
    assert.notEqual(store.minter.incarnation, first.store.minter.incarnation)
    assert.deepEqual(identityOn(database).ended, [first.store.minter.incarnation])
    const { dot } = put(store, key, writeOf('two')).result.version
    assert.ok(isOfIncarnation(dot.actor, store.minter.incarnation))
  })

  test('ends where what the node knew of itself is damaged', async () => {
    const database = await lastingDatabase()
    const first = await openStore(database)
    await first.store.close()
    const row = Buffer.from(database.getSync(identityKey) ?? [])
    row.writeUInt8(row.readUInt8(12) ^ 1, 12)
    await database.batch([{ type: 'put', key: identityKey, value: row }], { sync: true })
    const { store } = await openStore(database)
    assert.notEqual(store.minter.incarnation, first.store.minter.incarnation)
  })

  test('of an empty directory is one that no other has', async () => {
    const incarnations = new Set<string>()
    for (let i = 0; i < 20; i++) {
      incarnations.add((await openStore(await memoryDatabase())).store.minter.incarnation)
    }
    assert.equal(incarnations.size, 20)
  })

  test('ends when its own actor is met above its own counter', async () => {
    const { store } = await openStore(await memoryDatabase())
    const { incarnation } = store.minter
    put(store, key, writeOf('one'))
    const actor = makeActor(incarnation, 1)
    assert.equal(store.minter.isAheadOfMe(new Map([[actor, 1]])), false)
    put(store, key, writeOf('two', { context: new Map([[actor, 900]]) }))
    assert.notEqual(store.minter.incarnation, incarnation)
    assert.deepEqual(store.minter.identity(false).ended, [incarnation])
  })

  test('ends once for all the damage that is found before it mints again', async () => {
    const database = await memoryDatabase()
    const { store, settle } = await openStore(database)
    const keys = Array.from({ length: 100 }, (_, i) => keyOf(`key ${i}`))
    for (const each of keys) put(store, each, writeOf('value'))
    await settle()
    const read = (from: number, to: number) => {
      for (const each of keys.slice(from, to)) assert.throws(() => store.read(each))
    }
    for (const each of keys) {
      await database.batch([{ type: 'put', key: each.row, value: Buffer.alloc(20) }], {
        sync: true
      })
    }
    read(0, 50)
    assert.equal(store.minter.ended.length, 1)
    put(store, key, writeOf('another'))
    read(50, 100)
    assert.equal(store.minter.ended.length, 2)
  })

  test('that was renewed is on disk with the batch of the next write', async () => {
    const database = await memoryDatabase()
    const { store, settle, told } = await openStore(database)
    const before = store.minter.incarnation
    store.renewIncarnation('a test asks for it')
    assert.equal(told.incarnations, 1)
    const { durable } = put(store, key, writeOf('one'))
    await settle()
    await durable
    assert.equal(identityOn(database).incarnation, store.minter.incarnation)
    assert.deepEqual(identityOn(database).ended, [before])
  })
})

describe('a store that is closing', () => {
  test('writes out what is staged, then the mark of a clean stop', async () => {
    const database = await lastingDatabase()
    const { store, endTurn } = await openStore(database)
    const { durable } = put(store, key, writeOf('one'))
    const closing = store.close()
    endTurn()
    await closing
    await durable
    assert.notEqual(database.getSync(key.row), undefined)
    assert.deepEqual(identityOn(database), { ...store.minter.identity(true) })
  })

  test('mints no dot that the mark of a clean stop does not know of', async () => {
    const database = await lastingDatabase()
    const held = new HeldDatabase(database)
    const { store } = await openStore(held)
    held.holding = true
    const closing = store.close()
    await nextTurn()
    // The mark is being written; a request that was already under way comes to its write only now.
    let minted = 0
    try {
      minted = put(store, key, writeOf('late')).result.version.dot.counter
    } catch {
      minted = 0
    }
    await held.next().release()
    await closing
    const next = await openStore(database)
    const { counter } = put(next.store, key, writeOf('next')).result.version.dot
    const sameIncarnation = next.store.minter.incarnation === store.minter.incarnation
    assert.ok(!sameIncarnation || counter > minted, `${counter} was minted before the stop, too`)
  })

  test('calls no row damaged because the database is closed', async () => {
    const { store, told, settle } = await openStore(await memoryDatabase())
    put(store, key, writeOf('one'))
    await settle()
    await store.close()
    assert.throws(() => store.read(key))
    assert.equal(told.damage.length, 0)
  })
})

describe('the actor of a row', () => {
  test('goes on for a writer who has seen all that it has on the row', async () => {
    const { store } = await openStore(await memoryDatabase())
    const first = put(store, key, writeOf('one')).result
    const second = put(store, key, writeOf('two', { context: first.context })).result
    assert.equal(second.version.dot.actor, first.version.dot.actor)
    assert.equal(second.versions.length, 1)
  })

  test('is a new one for a blind write beside it', async () => {
    const { store } = await openStore(await memoryDatabase())
    const first = put(store, key, writeOf('one')).result
    const second = put(store, key, writeOf('two')).result
    assert.notEqual(second.version.dot.actor, first.version.dot.actor)
    assert.equal(second.context.size, 1, 'the second writer knows nothing of the first')
    const third = put(store, key, writeOf('three', { context: second.context })).result
    assert.equal(third.versions.length, 2, 'what the first wrote has not been seen and stays')
  })

  test('is a new one on a row that was let go and came back', async () => {
    const { store } = await openStore(await memoryDatabase())
    const first = put(store, key, writeOf('one')).result
    store.mutate(key, () => ({ next: { versions: [], mintActor: null }, result: null }))
    store.mutate(key, () => ({
      next: { versions: first.versions, mintActor: null },
      result: null
    }))
    const second = put(store, key, writeOf('two', { context: first.context })).result
    assert.notEqual(second.version.dot.actor, first.version.dot.actor)
  })

  test('is never one that was used before, whatever becomes of rows and incarnations', async () => {
    const { store } = await openStore(await memoryDatabase())
    const actors = Array.from({ length: 50 }, (_, i) => {
      if (i % 10 === 9) store.renewIncarnation('a test asks for it')
      return store.minter.mint(key, null, emptyVector, emptyVector).actor
    })
    assert.equal(new Set(actors).size, 50)
  })
})
