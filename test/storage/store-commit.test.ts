import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { AnnealError } from '../../core/errors.ts'
import { HeldDatabase } from './held-database.ts'
import {
  keyOf,
  memoryDatabase,
  openStore,
  put,
  rowsUnder,
  valuesOf,
  writeOf
} from './open-store.ts'

const key = keyOf('key')

async function openHeld(durability: 'fsync' | 'os' = 'fsync', pendingBytesMax = 2 ** 20) {
  const database = new HeldDatabase(await memoryDatabase())
  const opened = await openStore(database, { durability, pendingBytesMax })
  database.holding = true
  return { database, ...opened }
}

/** Notes when promises settle, in order. */
function watch(...promises: Promise<void>[]): string[] {
  const seen: string[] = []
  for (const [index, promise] of promises.entries()) {
    promise.then(
      () => seen.push(`${index} resolved`),
      (error: Error) => seen.push(`${index} rejected: ${error.message}`)
    )
  }
  return seen
}

describe('group commit', () => {
  test('two mutations of a key in one turn see each other and are one batch', async () => {
    const { store, database, endTurn, told } = await openHeld()
    const first = put(store, key, writeOf('one'))
    const second = put(store, key, writeOf('two'))
    assert.equal(second.result.versions.length, 2)
    assert.deepEqual(valuesOf(store, key), ['one', 'two'])
    assert.equal(database.held.length, 0, 'nothing is written before the turn ends')
    endTurn()
    assert.equal(database.held.length, 1)
    await database.next().release()
    await Promise.all([first.durable, second.durable])
    assert.equal(told.batches.length, 1)
    assert.deepEqual(valuesOf(store, key), ['one', 'two'])
    assert.equal(database.held.length, 0)
  })

  test('durable resolves after the batch is written, and not before', async () => {
    const { store, database, endTurn } = await openHeld()
    const settled = watch(put(store, key, writeOf('one')).durable)
    endTurn()
    await nextTurn()
    assert.deepEqual(settled, [])
    assert.equal((await rowsUnder(database, 'o')).length, 0)
    assert.deepEqual(valuesOf(store, key), ['one'], 'a staged row shadows the database')
    await database.next().release()
    await nextTurn()
    assert.deepEqual(settled, ['0 resolved'])
    assert.equal((await rowsUnder(database, 'o')).length, 1)
  })

  test('what comes while a batch is being written forms the next one', async () => {
    const { store, database, endTurn } = await openHeld()
    const settled = watch(put(store, key, writeOf('one')).durable)
    endTurn()
    const later = ['two', 'three', 'four'].map((value) => put(store, keyOf(value), writeOf(value)))
    endTurn()
    assert.equal(database.held.length, 1, 'one batch at a time')
    const settledLater = watch(...later.map(({ durable }) => durable))
    await database.next().release()
    await nextTurn()
    assert.deepEqual(settled, ['0 resolved'])
    assert.deepEqual(settledLater, [])
    const second = database.next()
    assert.equal(second.operations.length, 3)
    await second.release()
    await nextTurn()
    assert.deepEqual(settledLater, ['0 resolved', '1 resolved', '2 resolved'])
  })

  test('a row staged again while its batch is written stays staged until its own batch', async () => {
    const { store, database, endTurn } = await openHeld()
    put(store, key, writeOf('one'))
    endTurn()
    put(store, key, writeOf('two'))
    await database.next().release()
    await nextTurn()
    assert.deepEqual(valuesOf(store, key), ['one', 'two'])
    await database.next().release()
    await store.drained()
    assert.deepEqual(valuesOf(store, key), ['one', 'two'])
  })

  test('a removed row is gone at once, and from the database with its batch', async () => {
    const { store, database, endTurn } = await openHeld()
    put(store, key, writeOf('one'))
    endTurn()
    await database.next().release()
    const removed = store.mutate(key, () => ({
      next: { versions: [], mintActor: null },
      result: 'handed off'
    }))
    assert.equal(removed.result, 'handed off')
    assert.equal(removed.row, null)
    assert.equal(store.read(key), null)
    endTurn()
    await database.next().release()
    await removed.durable
    assert.equal(store.read(key), null)
    assert.equal((await rowsUnder(database, 'o')).length, 0)
  })

  test('a mutation that changes nothing is durable when what it saw is', async () => {
    const { store, database, endTurn } = await openHeld()
    put(store, key, writeOf('one'))
    const settled = watch(store.mutate(key, () => ({ next: null, result: null })).durable)
    endTurn()
    await nextTurn()
    assert.deepEqual(settled, [])
    const batch = database.next()
    assert.equal(batch.operations.length, 1)
    await batch.release()
    await nextTurn()
    assert.deepEqual(settled, ['0 resolved'])
  })

  test('batches are synced with `fsync` and only with it', async () => {
    for (const durability of ['fsync', 'os'] as const) {
      const { store, database, endTurn } = await openHeld(durability)
      put(store, key, writeOf('one'))
      endTurn()
      assert.equal(database.next().sync, durability === 'fsync')
    }
  })

  test('what `change` throws is thrown, and nothing has changed', async () => {
    const { store, database, endTurn } = await openHeld()
    put(store, key, writeOf('one'))
    assert.throws(
      () =>
        store.mutate(key, () => {
          throw new RangeError('mine')
        }),
      RangeError
    )
    assert.deepEqual(valuesOf(store, key), ['one'])
    endTurn()
    assert.equal(database.next().operations.length, 1)
  })
})

describe('a batch that fails', () => {
  for (const reason of [
    'Corruption: corrupted compressed block contents',
    'IO error: /data/n1/db/000032.ldb: Invalid argument',
    'IO error: /data/n1/db/000032.ldb: No such file or directory'
  ]) {
    test(`says that files are damaged where the database says ${reason}`, async () => {
      const { store, database, endTurn } = await openHeld()
      const settled = watch(put(store, key, writeOf('one')).durable)
      endTurn()
      database.next().fail(new Error(reason))
      await nextTurn()
      assert.match(settled.join(), /files are damaged: .*salvages.*move the data directory away/)
    })
  }

  test('fails all who wait, stops the store once, and is not tried again', async () => {
    const { store, database, endTurn, told } = await openHeld()
    const writing = put(store, key, writeOf('one')).durable
    endTurn()
    const gathering = put(store, key, writeOf('two')).durable
    const meta = store.writeMeta('name', Buffer.from('content'))
    const settled = watch(writing, gathering, meta)
    database.next().fail(new Error('EIO: i/o error, fdatasync'))
    await nextTurn()
    assert.equal(settled.length, 3)
    for (const outcome of settled) assert.match(outcome, /rejected: .*fdatasync.*Check the disk/)
    assert.equal(told.failures.length, 1)
    endTurn()
    await nextTurn()
    assert.equal(database.held.length, 0, 'nothing is written any more')
  })

  test('leaves a store that refuses everything', async () => {
    const { store, database, endTurn, told } = await openHeld()
    put(store, key, writeOf('one'))
    endTurn()
    database.next().fail(new Error('EIO'))
    await nextTurn()
    const failure = (error: unknown) => error instanceof AnnealError && error === told.failures[0]
    assert.throws(() => put(store, key, writeOf('two')), failure)
    assert.throws(() => store.read(key), failure)
    await assert.rejects(async () => store.writeMeta('name', Buffer.of()), failure)
    await assert.rejects(store.drained(), failure)
    await store.close()
    assert.ok(database.closed)
    assert.equal(database.held.length, 0, 'no mark of a clean stop')
    assert.equal(told.failures.length, 1)
  })
})

test('writes that outrun the disk are refused as overloaded, and taken again later', async () => {
  const { store, database, endTurn } = await openHeld('fsync', 10_000)
  let taken = 0
  const write = () => put(store, keyOf(`${taken}`), writeOf('x'.repeat(1000)))
  assert.throws(
    () => {
      for (; taken < 100; taken++) write()
    },
    (error) => error instanceof AnnealError && error.code === 'overloaded'
  )
  assert.ok(taken > 5 && taken < 11, `${taken} writes were taken`)
  assert.ok(store.pendingBytes >= 10_000)
  assert.equal(store.read(keyOf('99')), null, 'reads go on')
  endTurn()
  await database.next().release()
  await store.drained()
  assert.equal(store.pendingBytes, 0)
  write()
})

test('what the node keeps of itself comes back, and a damaged row of it counts as none', async () => {
  const { store, database, settle } = await openHeld()
  database.holding = false
  const kept = store.writeMeta('name', Buffer.from('content'))
  await settle()
  await kept
  assert.deepEqual(store.readMeta('name'), Buffer.from('content'))
  assert.equal(store.readMeta('other'), null)
  const rowKey = Buffer.from('mname')
  await database.batch([{ type: 'put', key: rowKey, value: Buffer.alloc(20, 1) }], { sync: true })
  assert.equal(store.readMeta('name'), null)
})
