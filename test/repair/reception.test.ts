import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { AnnealError } from '../../core/errors.ts'
import { inlineValueBytesMax } from '../../core/limits.ts'
import { Collection } from '../../repair/collection.ts'
import { makePair } from '../../repair/pair-proofs.ts'
import { ended, type ReportTable } from '../../repair/report-table.ts'
import type { Database } from '../../storage/database.ts'
import { decodeObject, encodeObject } from '../../storage/object-codec.ts'
import type { Row } from '../../storage/row-codec.ts'
import type { Versions } from '../../storage/version.ts'
import { incarnationOf } from '../../storage/version-vector.ts'
import { causalHistories, statesOf } from '../storage/causal-history.ts'
import { keyOf, memoryDatabase, openStore, put, valuesOf, writeOf } from '../storage/open-store.ts'
import { type OpenedReplica, openReplica } from './open-replica.ts'

const key = keyOf('k')

/** Versions that some other node has written. */
async function writtenElsewhere(...values: (string | null)[]): Promise<Versions> {
  const { store } = await openStore(await memoryDatabase())
  let versions: Versions = []
  for (const value of values) versions = put(store, key, writeOf(value)).result.versions
  return versions
}

/** All replicas are known to have had all that the versions' writers ever wrote. */
function prove({ watermarks }: OpenedReplica, versions: Versions): ReportTable {
  const incarnations = versions.map(({ dot }) => incarnationOf(dot.actor))
  const table: ReportTable = new Map(
    incarnations.map((name) => [name, { member: 'n9', upTo: ended, lower: new Map() }])
  )
  watermarks.noteProof([0], 'n2', table)
  watermarks.noteProof([0], 'n3', table)
  watermarks.hearProof({ pair: makePair('n2', 'n3'), table, partitions: [0] })
  return table
}

describe('a version that comes up again', () => {
  const prepared = async () => {
    const replica = await openReplica(await memoryDatabase())
    const versions = await writtenElsewhere('ghost')
    prove(replica, versions)
    const floor = replica.watermarks.vector(0)
    return { replica, versions, floor }
  }

  test('is set aside where the others lack it too, and the sender is told', async () => {
    const { replica, versions, floor } = await prepared()
    replica.answers.set('n3', { opinion: 'lacks', floor })
    const outcome = await replica.reception.receive(key, versions, 'n2')
    assert.deepEqual(outcome, { kind: 'quarantined', dots: versions.map(({ dot }) => dot) })
    assert.equal(replica.store.read(key), null)
    const [entry] = await replica.quarantine.list(10)
    assert.equal(String(entry?.version.value), 'ghost')
    assert.equal(entry?.from, 'n2')
    assert.equal(replica.reception.counters.resurrections, 1)
  })

  test('is taken where another replica has it: it was lost here', async () => {
    const { replica, versions, floor } = await prepared()
    replica.answers.set('n3', { opinion: 'has', floor })
    assert.deepEqual(await replica.reception.receive(key, versions, 'n2'), { kind: 'taken' })
    assert.deepEqual(valuesOf(replica.store, key), ['ghost'])
    assert.equal(replica.reception.counters.regained, 1)
  })

  test('is not taken on the word of a replica whose disk is older', async () => {
    const { replica, versions } = await prepared()
    replica.answers.set('n3', { opinion: 'has', floor: new Map() })
    const outcome = await replica.reception.receive(key, versions, 'n2')
    assert.equal(outcome.kind, 'refused')
    assert.equal(replica.store.read(key), null)
  })

  test('is refused while not all can be asked', async () => {
    const { replica, versions, floor } = await prepared()
    replica.answers.set('n3', { opinion: 'lacks', floor })
    assert.equal((await replica.reception.receive(key, versions, null)).kind, 'refused')
    assert.equal(replica.quarantine.count, 0)
  })

  test('is refused, and kept by the sender, where the quarantine is full', async () => {
    const replica = await openReplica(await memoryDatabase(), 10)
    const versions = await writtenElsewhere('ghost')
    prove(replica, versions)
    replica.answers.set('n3', { opinion: 'lacks', floor: replica.watermarks.vector(0) })
    const outcome = await replica.reception.receive(key, versions, 'n2')
    assert.equal(outcome.kind, 'refused')
    assert.match(outcome.kind === 'refused' ? outcome.reason : '', /quarantine is full/)
  })

  test('leaves the row of the sender, and the rest stays', async () => {
    const replica = await openReplica(await memoryDatabase())
    const versions = await writtenElsewhere('ghost', 'sibling')
    await replica.reception.receive(key, versions, null)
    const ghosts = versions.filter(({ value }) => String(value) === 'ghost')
    await replica.reception.setAside(
      key,
      ghosts.map(({ dot }) => dot),
      'n3'
    )
    assert.deepEqual(valuesOf(replica.store, key), ['sibling'])
    assert.equal(replica.quarantine.count, 1)
  })
})

describe('the row of an object that arrives in bytes', () => {
  const rowOf = async (objects: readonly Versions[], inBytes: boolean): Promise<Row | null> => {
    const { reception, store, settle } = await openReplica(await memoryDatabase())
    for (const versions of objects) {
      const bytes = inBytes ? encodeObject(versions, 'whole') : null
      await reception.receive(key, bytes === null ? versions : decodeObject(bytes), 'n2', bytes)
    }
    await settle()
    return store.read(key)
  }

  test('is the one that its versions give, whatever was held before', async () => {
    const arrivals = fc.tuple(causalHistories('siblings'), fc.nat(), fc.nat())
    const law = fc.asyncProperty(arrivals, async ([history, one, other]) => {
      const objects = statesOf(history, [one, other]).filter((object) => object.length > 0)
      const row = await rowOf(objects, true)
      assert.deepEqual(row, await rowOf(objects, false))
      if (row !== null) assert.deepEqual(row.objectBytes, encodeObject(row.versions, 'row'))
    })
    await fc.assert(law, { numRuns: 200 })
  })

  test('keeps a large value apart', async () => {
    const versions = await writtenElsewhere('v'.repeat(inlineValueBytesMax + 1), 'small')
    const row = await rowOf([versions], true)
    assert.deepEqual(row, await rowOf([versions], false))
    assert.ok(row !== null && row.objectBytes.length < inlineValueBytesMax)
  })
})

describe('a node that is asked about a version that it lacks', () => {
  const asked = async (checkRows: (watermarks: OpenedReplica['watermarks']) => Promise<void>) => {
    const replica = await openReplica(await memoryDatabase(), undefined, checkRows)
    const versions = await writtenElsewhere('ghost')
    prove(replica, versions)
    const dots = versions.map(({ dot }) => dot)
    return (await replica.reception.opinions(key, dots)).opinions
  }

  test('says so where its rows are what they should be', async () => {
    assert.deepEqual(await asked(async () => {}), ['lacks'])
  })

  test('does not know where rows turn out to have gone behind its back, or cannot be read', async () => {
    assert.deepEqual(await asked(async (watermarks) => watermarks.forget(0)), ['unknown'])
    assert.deepEqual(await asked(() => Promise.reject(new Error('an unreadable table'))), [
      'unknown'
    ])
  })
})

describe('a node that starts again', () => {
  test('has not regained what it forgot over damage', async () => {
    const database = await memoryDatabase()
    const before = await openReplica(database)
    prove(before, await writtenElsewhere('value'))
    before.watermarks.forget(0)
    await before.settle()
    const { watermarks } = await openReplica(database)
    assert.equal(watermarks.vector(0).size, 0)
    assert.equal(watermarks.floor(0).size, 0)
  })

  test('still answers for what it was about to have proven, once that was synced', async () => {
    const database = await memoryDatabase()
    const before = await openReplica(database)
    const table: ReportTable = new Map([['incarnat', { member: 'n9', upTo: 7, lower: new Map() }]])
    before.watermarks.noteProof([0], 'n3', table)
    before.watermarks.prepareProof([0], 'n2', table)
    await Promise.resolve()
    await before.store.sync()
    const { watermarks } = await openReplica(database)
    assert.deepEqual([...watermarks.floor(0)], [['incarnat', 7]])
    assert.equal(watermarks.vector(0).size, 0)
  })

  test('still knows what was proven, and what is in quarantine', async () => {
    const database = await memoryDatabase()
    const before = await openReplica(database)
    const versions = await writtenElsewhere('ghost')
    const table = prove(before, versions)
    before.answers.set('n3', { opinion: 'lacks', floor: before.watermarks.vector(0) })
    await before.reception.receive(key, versions, 'n2')
    await before.settle()
    const after = await openReplica(database)
    const [version] = versions
    assert.ok(version !== undefined && after.watermarks.covers(0, version))
    assert.deepEqual([...after.watermarks.table.keys()], [...table.keys()])
    const proofs = [...after.watermarks.proofsFor('n9', [0])].map(
      ({ pair }) => `${pair.a}${pair.b}`
    )
    assert.deepEqual(proofs.sort(), ['n1n2', 'n1n3', 'n2n3'])
    assert.equal(after.quarantine.count, 1)
    const [entry] = await after.quarantine.list(10)
    assert.equal(await after.quarantine.drop(entry?.id ?? ''), true)
    assert.equal(await after.quarantine.drop(entry?.id ?? ''), false)
    assert.deepEqual(await after.quarantine.list(10), [])
  })
})

describe('collection', () => {
  const open = async (database?: Database) => {
    const replica = await openReplica(database ?? (await memoryDatabase()))
    const collection = new Collection({
      store: replica.store,
      watermarks: replica.watermarks,
      clock: { now: () => replica.clock.nowMs, monotonic: () => replica.clock.nowMs },
      partitions: 1,
      graceMs: 100,
      isReplica: () => true
    })
    return { replica, collection }
  }

  test('waits for the proof, then for the grace period, and leaves siblings alone', async () => {
    const { replica, collection } = await open()
    const versions = await writtenElsewhere('value', null)
    assert.equal(versions.length, 2, 'a blind delete stands beside the value')
    await replica.reception.receive(key, versions, null)
    await collection.collectAll()
    const { held, notProven, waitingForGrace } = collection.counts
    assert.deepEqual([held, notProven, waitingForGrace], [1, 1, 0])
    prove(replica, versions)
    await collection.collectAll()
    assert.equal(collection.counts.waitingForGrace, 1)
    replica.clock.nowMs += 1000
    await collection.collectAll()
    assert.deepEqual(valuesOf(replica.store, key), ['value'])
    assert.deepEqual([collection.counts.held, collection.counts.collected], [0, 1])
  })

  test('goes on where part of the index cannot be read', async () => {
    const database = await memoryDatabase()
    const isIndex = (place: Buffer) => place[0] === 't'.charCodeAt(0)
    const { replica, collection } = await open({
      ...database,
      slice: (from, to, limit) =>
        isIndex(from)
          ? Promise.reject(new Error('Corruption: bad block contents'))
          : database.slice(from, to, limit)
    })
    const versions = await writtenElsewhere(null)
    await replica.reception.receive(key, versions, null)
    prove(replica, versions)
    replica.clock.nowMs += 1000
    put(replica.store, keyOf('another'), writeOf('minted'))
    await replica.settle()
    const { incarnation } = replica.store.minter
    await collection.collectAll()
    assert.equal(replica.store.read(key), null)
    assert.notEqual(replica.store.minter.incarnation, incarnation, 'it may have minted there')
  })

  test('counts a row once, also where the disk is too slow for the one after it', async ({
    mock
  }) => {
    const { replica, collection } = await open()
    for (const name of ['one', 'two', 'three']) {
      await replica.reception.receive(keyOf(name), await writtenElsewhere(null), null)
    }
    const mutate = mock.method(replica.store, 'mutate')
    const overloaded = new AnnealError('overloaded', 'the disk is slower than the writes')
    mutate.mock.mockImplementationOnce(() => {
      throw overloaded
    }, 1)
    await assert.rejects(collection.collectSome(10), overloaded)
    assert.equal(await collection.collectSome(10), true)
    assert.deepEqual([collection.counts.held, collection.counts.notProven], [3, 3])
  })

  test('a row goes with its last version', async () => {
    const { replica, collection } = await open()
    const versions = await writtenElsewhere(null)
    await replica.reception.receive(key, versions, null)
    prove(replica, versions)
    replica.clock.nowMs += 1000
    await collection.collectAll()
    assert.equal(replica.store.read(key), null)
  })
})
