import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { AsideChange } from '../../storage/aside-rows.ts'
import { tombstoneRange, tombstoneRowKey } from '../../storage/keys.ts'
import { HeldDatabase } from './held-database.ts'
import { keyOf, memoryDatabase, openStore, put, writeOf } from './open-store.ts'

const rowKey = (name: string) => Buffer.from(`x${name}`)
const putAside = (name: string, content: string): AsideChange => ({
  type: 'put',
  key: rowKey(name),
  content: Buffer.from(content)
})
const del = (name: string): AsideChange => ({ type: 'del', key: rowKey(name) })
const range = { from: Buffer.from('x'), to: Buffer.from('y') }
const shown = (rows: readonly { readonly key: Buffer; readonly content: Buffer | null }[]) =>
  rows.map(({ key, content }) => [key.toString(), content?.toString() ?? null])

describe('a row that is no object', () => {
  test('is read back as it is staged, before and after it is written', async () => {
    const { store, settle } = await openStore(await memoryDatabase())
    assert.equal(store.aside(rowKey('a')), null)
    const content = Buffer.from('one')
    void store.changeAside([{ type: 'put', key: rowKey('a'), content }])
    content.fill(0)
    assert.equal(store.aside(rowKey('a'))?.toString(), 'one')
    await settle()
    assert.equal(store.aside(rowKey('a'))?.toString(), 'one')
    void store.changeAside([del('a')])
    assert.equal(store.aside(rowKey('a')), null)
    await settle()
    assert.equal(store.aside(rowKey('a')), null)
  })

  test('is compared and changed without anybody in between', async () => {
    const database = new HeldDatabase(await memoryDatabase())
    const { store, settle, endTurn } = await openStore(database)
    void store.changeAside([putAside('a', 'old')])
    await settle()
    database.holding = true
    const isWritten = store.changeAside([putAside('a', 'new')])
    endTurn()
    // The batch is under way: what it writes counts already.
    assert.equal(store.aside(rowKey('a'))?.toString(), 'new')
    assert.equal(database.getSync(rowKey('a'))?.toString().includes('old'), true)
    void store.changeAside([putAside('a', 'newer')])
    await database.next().release()
    await isWritten
    assert.equal(store.aside(rowKey('a'))?.toString(), 'newer')
  })

  test('goes into one batch with the row that it belongs to', async () => {
    const database = new HeldDatabase(await memoryDatabase())
    const { store, endTurn } = await openStore(database)
    database.holding = true
    const seen: unknown[] = []
    const { durable } = store.mutate(
      keyOf('key'),
      () => ({ next: null, result: 'unchanged' }),
      ({ row, result }) => {
        seen.push(row, result)
        return [putAside('a', 'alongside')]
      }
    )
    endTurn()
    assert.deepEqual(seen, [null, 'unchanged'])
    let isDurable = false
    void durable.then(() => {
      isDurable = true
    })
    const batch = database.next()
    assert.deepEqual(
      batch.operations.map(({ key }) => key.toString()),
      ['xa']
    )
    assert.equal(isDurable, false)
    await batch.release()
    await durable
  })

  test('stays as it is where the mutation that it goes alongside throws', async () => {
    const { store } = await openStore(await memoryDatabase())
    assert.throws(() =>
      store.mutate(
        keyOf('key'),
        () => ({ next: { versions: [], mintActor: null }, result: null }),
        () => {
          throw new Error('no')
        }
      )
    )
    assert.equal(store.read(keyOf('key')), null)
    assert.equal(store.pendingBytes, 0)
  })

  test('is met by walks in order, with what is staged and without what is deleted', async () => {
    const database = new HeldDatabase(await memoryDatabase())
    const { store, settle, endTurn } = await openStore(database)
    for (const name of ['b', 'd', 'f']) void store.changeAside([putAside(name, 'old')])
    await settle()
    database.holding = true
    void store.changeAside([putAside('a', 'new'), del('b'), putAside('d', 'new')])
    endTurn()
    const names: unknown[] = []
    let from: Buffer | null = range.from
    while (from !== null) {
      const slice: Awaited<ReturnType<typeof store.walkAside>> = await store.walkAside(
        { from, to: range.to },
        1
      )
      names.push(...shown(slice.rows))
      from = slice.next
    }
    assert.deepEqual(names, [
      ['xa', 'new'],
      ['xd', 'new'],
      ['xf', 'old']
    ])
  })

  test('that is damaged counts as none, shows in walks, and ends the incarnation once', async () => {
    const database = await memoryDatabase()
    const { store, settle, told } = await openStore(database)
    put(store, keyOf('key'), writeOf('minted'))
    void store.changeAside([putAside('a', 'one'), putAside('b', 'two')])
    await settle()
    const bytes = Buffer.from(database.getSync(rowKey('a')) ?? [])
    bytes.writeUInt8(bytes.readUInt8(9) ^ 1, 9)
    await database.batch([{ type: 'put', key: rowKey('a'), value: bytes }], { sync: true })
    const before = told.incarnations
    assert.equal(store.aside(rowKey('a')), null)
    assert.deepEqual(shown((await store.walkAside(range, 10)).rows), [
      ['xa', null],
      ['xb', 'two']
    ])
    assert.equal(told.incarnations, before + 1)
    void store.changeAside([putAside('a', 'again')])
    await settle()
    assert.equal(store.aside(rowKey('a'))?.toString(), 'again')
  })

  test('that is damaged is none of the keys to be looked up on other replicas', async () => {
    const database = await memoryDatabase()
    const { store, settle } = await openStore(database)
    put(store, keyOf('a'), writeOf('value'))
    put(store, keyOf('b'), writeOf(null))
    await settle()
    for (const row of [keyOf('a').row, tombstoneRowKey(keyOf('b'))]) {
      await database.batch([{ type: 'put', key: row, value: Buffer.alloc(20) }], { sync: true })
    }
    assert.equal(store.aside(tombstoneRowKey(keyOf('b'))), null)
    assert.throws(() => store.read(keyOf('a')))
    assert.deepEqual(store.damagedKeys(16), [keyOf('a')])
  })
})

describe('the tombstone index', () => {
  test('has exactly the rows with a tombstone or an expiry', async () => {
    const { store, settle } = await openStore(await memoryDatabase())
    const indexed = async () =>
      (await store.walkAside(tombstoneRange(0, 1), 10)).rows.map((r) => r.key)
    put(store, keyOf('a'), writeOf('value'))
    put(store, keyOf('b'), writeOf('sibling'))
    put(store, keyOf('b'), writeOf(null))
    put(store, keyOf('c'), writeOf('short', { ttlMs: 1 }))
    await settle()
    assert.deepEqual(await indexed(), [keyOf('b'), keyOf('c')].map(tombstoneRowKey))
    const { context } = put(store, keyOf('c'), writeOf('x', { coversAllHeld: true })).result
    put(store, keyOf('c'), writeOf('lasting', { context, coversAllHeld: true }))
    await settle()
    assert.deepEqual(await indexed(), [keyOf('b')].map(tombstoneRowKey))
    store.mutate(keyOf('b'), () => ({ next: { versions: [], mintActor: null }, result: null }))
    assert.deepEqual(await indexed(), [])
  })
})

describe('sync', () => {
  test('under `os` comes after all that was staged, in a batch that is synced', async () => {
    const database = new HeldDatabase(await memoryDatabase())
    const { store, endTurn } = await openStore(database, { durability: 'os' })
    database.holding = true
    put(store, keyOf('a'), writeOf('one'))
    endTurn()
    let isSynced = false
    const synced = store.sync().then(() => {
      isSynced = true
    })
    const first = database.next()
    assert.equal(first.sync, false)
    await first.release()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(isSynced, false)
    const second = database.next()
    assert.equal(second.sync, true)
    assert.ok(second.operations.length > 0, 'LevelDB does not sync for an empty batch')
    await second.release()
    await synced
  })

  test('under `fsync` waits for what was staged, and for nothing later', async () => {
    const database = new HeldDatabase(await memoryDatabase())
    const { store, endTurn } = await openStore(database)
    database.holding = true
    put(store, keyOf('a'), writeOf('one'))
    endTurn()
    const synced = store.sync()
    put(store, keyOf('b'), writeOf('later'))
    await database.next().release()
    await synced
    assert.ok(store.pendingBytes > 0)
  })
})
