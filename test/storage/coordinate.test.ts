import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AnnealError } from '../../core/errors.ts'
import { contextEntriesMax, vectorEntriesMax } from '../../core/limits.ts'
import { coordinate } from '../../storage/coordinate.ts'
import { decodeForeignObject, decodeObject, encodeObject } from '../../storage/object-codec.ts'
import type { Store } from '../../storage/store.ts'
import { contextOf, hashContent, isLive, type Version } from '../../storage/version.ts'
import { type Actor, covers, makeActor } from '../../storage/version-vector.ts'
import {
  keyOf,
  memoryDatabase,
  objectBytesMax,
  openStore,
  put,
  take,
  valuesOf,
  writeOf
} from './open-store.ts'

const key = keyOf('key')
const laterMs = 1_002_000
const open = async () => (await openStore(await memoryDatabase())).store

describe('too many siblings', () => {
  test('are refused by name, and nothing has changed', async () => {
    const store = await open()
    for (let i = 0; i < 3; i++) put(store, key, writeOf(`${i}`), 3)
    const before = store.read(key)
    assert.throws(
      () => put(store, key, writeOf('one too many'), 3),
      (error) =>
        error instanceof AnnealError &&
        error.code === 'too_many_siblings' &&
        error.details['siblings'] === 3
    )
    assert.equal(store.read(key), before)
    put(store, key, writeOf('merged', { context: contextOf(before?.versions ?? []) }), 3)
    assert.deepEqual(valuesOf(store, key), ['merged'])
  })

  test('that came from elsewhere may still be made fewer, one by one', async () => {
    const store = await open()
    const contexts = Array.from(
      { length: 5 },
      (_, i) => put(store, key, writeOf(`${i}`)).result.context
    )
    const [context] = contexts
    assert.ok(context !== undefined)
    put(store, key, writeOf('instead of 0', { context }), 3)
    assert.deepEqual(valuesOf(store, key), ['1', '2', '3', '4', 'instead of 0'])
  })
})

describe('what is dead', () => {
  test('counts as no sibling, however often a key is written blindly and deleted', async () => {
    const store = await open()
    for (let round = 0; round < 9; round++) {
      const { context } = put(store, key, writeOf(`${round}`), 3).result
      put(store, key, writeOf(null, { context }), 3)
    }
    assert.deepEqual(valuesOf(store, key), [null])
    put(store, key, writeOf('blind'), 3)
    assert.deepEqual(valuesOf(store, key), ['blind'])
  })

  test('counts as no sibling where it has expired', async () => {
    const store = await open()
    for (let i = 0; i < 3; i++) put(store, key, writeOf(`${i}`, { ttlMs: 1000 }), 3)
    assert.throws(() => put(store, key, writeOf('too early'), 3), { code: 'too_many_siblings' })
    put(store, key, writeOf('blind'), 3, laterMs)
    assert.deepEqual(valuesOf(store, key), ['blind'])
  })

  test('gives way with all that it has overwritten, and live siblings stay', async () => {
    const store = await open()
    const { version, context } = put(store, key, writeOf('deleted')).result
    put(store, key, writeOf('unseen'))
    const tombstone = put(store, key, writeOf(null, { context })).result.version
    const blind = put(store, key, writeOf('blind')).result
    assert.deepEqual(valuesOf(store, key), ['blind', 'unseen'])
    take(store, key, [version])
    take(store, key, [tombstone])
    assert.deepEqual(valuesOf(store, key), ['blind', 'unseen'], 'neither of them comes back')
    put(store, key, writeOf('next', { context: blind.context }))
    assert.deepEqual(valuesOf(store, key), ['next', 'unseen'], 'the writer has not seen it')
  })
})

describe('siblings with too many bytes together', () => {
  const quarter = Buffer.alloc(objectBytesMax / 4)
  const openFull = async () => {
    const store = await open()
    const putQuarter = () => put(store, key, writeOf(quarter)).result.context
    const [first, second] = [putQuarter(), putQuarter(), putQuarter(), putQuarter()] as const
    return { store, first, second }
  }
  const refusal = {
    code: 'too_many_siblings',
    details: { siblings: 4, objectBytes: objectBytesMax + 1, objectBytesMax }
  }

  test('are refused by name, and nothing has changed', async () => {
    const { store, first } = await openFull()
    const before = store.read(key)
    assert.throws(() => put(store, key, writeOf('1')), refusal)
    const larger = Buffer.alloc(quarter.length + 1)
    assert.throws(() => put(store, key, writeOf(larger, { context: first })), refusal)
    assert.equal(store.read(key), before)
  })

  test('are settled, deleted, and replaced by what is no larger', async () => {
    const { store, first, second } = await openFull()
    put(store, key, writeOf(quarter, { context: first }))
    put(store, key, writeOf(null, { context: second }))
    assert.equal(store.read(key)?.versions.length, 4)
    const context = contextOf(store.read(key)?.versions ?? [])
    put(store, key, writeOf(Buffer.alloc(objectBytesMax), { context }))
    assert.equal(store.read(key)?.versions.length, 1)
  })

  test('are taken from another replica, and may be made fewer', async () => {
    const [{ store }, { store: other }] = [await openFull(), await openFull()]
    const object = encodeObject(other.withValues(key, other.read(key)?.versions ?? []), 'whole')
    take(store, key, decodeForeignObject(object))
    assert.equal(store.read(key)?.versions.length, 8)
    const [version] = store.read(key)?.versions ?? []
    const context = contextOf(version === undefined ? [] : [version])
    put(store, key, writeOf('in place of one', { context }))
    assert.equal(store.read(key)?.versions.length, 8)
    assert.throws(() => put(store, key, writeOf('one more')), { code: 'too_many_siblings' })
    put(store, key, writeOf(null, { coversAllHeld: true }))
    assert.deepEqual(valuesOf(store, key), [null])
  })

  test('are no matter where one value alone is larger', async () => {
    const store = await open()
    put(store, key, writeOf(Buffer.alloc(objectBytesMax + 1)))
    assert.equal(store.read(key)?.versions.length, 1)
  })
})

describe('the context of a key', () => {
  const other = 'another '
  const contextIn = (store: Store) => contextOf(store.read(key)?.versions ?? [])
  const refusal = { code: 'too_many_siblings' }

  /** Something from another node, whose writer had seen as much as that. */
  const takeWithPast = (store: Store, entries: number, index = 0) => {
    const past = new Map<Actor, number>()
    for (let i = 1; i <= entries; i++) past.set(makeActor(other, index + i), index + i)
    const dot = { actor: makeActor(other, index + entries + 1), counter: index + entries + 1 }
    const { result } = put(store, keyOf('source'), writeOf('from elsewhere'))
    const { version } = result
    take(store, key, [{ ...version, dot, past, contentHash: hashContent(dot, version) }])
  }

  const openLong = async (entries: number) => {
    const store = await open()
    takeWithPast(store, entries - 1)
    return store
  }

  test('grows with each write that has not seen all, up to a limit', async () => {
    const store = await open()
    const conflict = () => {
      const context = contextIn(store)
      put(store, key, writeOf('one', { context }))
      put(store, key, writeOf('two', { context }))
    }
    for (let i = 1; i < contextEntriesMax; i++) conflict()
    assert.equal(contextIn(store).size, contextEntriesMax)
    assert.throws(conflict, refusal)
    assert.deepEqual(valuesOf(store, key), ['one'])
    assert.throws(() => put(store, key, writeOf('blind')), refusal)
    assert.throws(() => put(store, key, writeOf(null, { context: new Map() })), refusal)
    for (let i = 0; i < 3; i++) {
      put(store, key, writeOf('who has read', { context: contextIn(store) }))
      assert.deepEqual(valuesOf(store, key), ['who has read'])
    }
    assert.equal(contextIn(store).size, contextEntriesMax)
    put(store, key, writeOf(null, { coversAllHeld: true }))
    assert.deepEqual(valuesOf(store, key), [null])
    put(store, key, writeOf('again', { context: contextIn(store) }))
    assert.deepEqual(valuesOf(store, key), ['again'])
  })

  test('grows beyond the limit where another node begins to coordinate', async () => {
    const store = await openLong(contextEntriesMax)
    put(store, key, writeOf('settled', { context: contextIn(store) }))
    assert.equal(contextIn(store).size, contextEntriesMax + 1)
  })

  test('grows by deletes only beyond twice the limit', async () => {
    const store = await openLong(contextEntriesMax * 2)
    const context = contextIn(store)
    assert.throws(() => put(store, key, writeOf('settled', { context })), refusal)
    put(store, key, writeOf(null, { coversAllHeld: true }))
    assert.deepEqual(valuesOf(store, key), [null])
    put(store, key, writeOf('goes on with the same actor', { context: contextIn(store) }))
    assert.equal(contextIn(store).size, contextEntriesMax * 2 + 1)
  })

  test('is never written so long that the row could not be read again', async () => {
    const store = await openLong(vectorEntriesMax)
    assert.throws(() => put(store, key, writeOf(null, { coversAllHeld: true })), refusal)
    takeWithPast(store, vectorEntriesMax, vectorEntriesMax)
    assert.throws(() => put(store, key, writeOf(null, { coversAllHeld: true })), refusal)
    assert.equal(decodeObject(store.read(key)?.objectBytes ?? Buffer.alloc(0)).length, 2)
  })

  test('is no matter where the latest write wins and carries no past', async () => {
    const store = await openLong(contextEntriesMax * 2)
    store.mutate(key, (row) => {
      const rules = { mode: 'lww', siblingsMax: 1, objectBytesMax, nowMs: 2_000_000 } as const
      const made = coordinate(key, row, writeOf('blind'), store.minter, rules)
      return { next: made, result: made }
    })
    assert.deepEqual(valuesOf(store, key), ['blind'])
  })
})

describe('a delete', () => {
  test('with a context takes away what the context covers', async () => {
    const store = await open()
    const { context } = put(store, key, writeOf('seen')).result
    put(store, key, writeOf('unseen'))
    put(store, key, writeOf(null, { context }))
    assert.deepEqual(valuesOf(store, key), [null, 'unseen'].sort())
  })

  test('without one takes away all that is held, and says so to its writer', async () => {
    const store = await open()
    const values = ['one', 'two'].map((value) => put(store, key, writeOf(value)).result.version)
    const { context } = put(store, key, writeOf(null, { coversAllHeld: true })).result
    assert.deepEqual(valuesOf(store, key), [null])
    for (const { dot } of values) assert.ok(covers(context, dot))
    take(store, key, values)
    assert.deepEqual(valuesOf(store, key), [null], 'nothing deleted comes back')
  })

  test('where there was nothing leaves a tombstone', async () => {
    const store = await open()
    put(store, key, writeOf(null, { coversAllHeld: true }))
    assert.deepEqual(valuesOf(store, key), [null])
  })

  test('can be read back whatever else came with the request', async () => {
    const store = await open()
    const extras = { contentType: 'text/plain', meta: [['a', 'b']], ttlMs: 1000 } as const
    const { versions } = put(store, key, writeOf(null, extras)).result
    assert.equal(decodeForeignObject(encodeObject(versions, 'whole')).length, 1)
  })
})

describe('the time of a version', () => {
  const timeOf = (version: Version) => version.timeMs

  test('is later than all that is held and all that its writer had seen', async () => {
    const store = await open()
    const first = timeOf(put(store, key, writeOf('one')).result.version)
    const second = timeOf(put(store, key, writeOf('two')).result.version)
    assert.ok(second > first, 'within one millisecond')
    const third = put(store, key, writeOf('three', { contextTimeMs: first + 99_000 })).result
    assert.equal(timeOf(third.version), first + 99_001, 'although the clock here is behind')
    assert.equal(third.contextTimeMs, timeOf(third.version))
  })

  test('starts the ttl: live before, and not at its end', async () => {
    const store = await open()
    const { version } = put(store, key, writeOf('one', { ttlMs: 5000 })).result
    assert.equal(version.expiresAtMs, version.timeMs + 5000)
    assert.ok(isLive(version, version.expiresAtMs - 1))
    assert.ok(!isLive(version, version.expiresAtMs))
    const { version: lasting } = put(store, key, writeOf('two')).result
    assert.ok(isLive(lasting, Number.MAX_SAFE_INTEGER))
    const { version: tombstone } = put(store, key, writeOf(null)).result
    assert.ok(!isLive(tombstone, 0))
  })
})
