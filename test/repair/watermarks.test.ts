import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { vectorEntriesMax } from '../../core/limits.ts'
import { makePair } from '../../repair/pair-proofs.ts'
import { ended, type ReportTable } from '../../repair/report-table.ts'
import { decodeTable, encodeTable } from '../../repair/report-table-codec.ts'
import { nameOfWatermark, type WatermarkVector } from '../../repair/watermark-vector.ts'
import { type WatermarkChange, Watermarks } from '../../repair/watermarks.ts'
import type { Version } from '../../storage/version.ts'
import { type Actor, makeActor } from '../../storage/version-vector.ts'
import { memoryDatabase } from '../storage/open-store.ts'
import { openReplica } from './open-replica.ts'

const incarnation = 'incarn.1'
const actor = makeActor(incarnation, 1)
const all = [0, 1, 2, 3]

const tableOf = (upTo: number, lower: [number, number][] = []): ReportTable =>
  new Map([[incarnation, { member: 'n1', upTo, lower: new Map(lower) }]])

const vectorOf = (counter: number): WatermarkVector => new Map([[incarnation, counter]])

function open(selfId: string, replicas: readonly string[] = ['n1', 'n2', 'n3']) {
  const changes: WatermarkChange[] = []
  const watermarks = new Watermarks({
    selfId,
    partitions: all.length,
    replicasOf: (partition) => (partition === 3 ? ['n7', 'n8', 'n9'] : replicas),
    onChange: (change) => changes.push(change)
  })
  return { watermarks, changes }
}

/** Proves the pairs of three replicas, as n1 learns of it. */
function proveAll(watermarks: Watermarks, table: ReportTable): void {
  watermarks.noteProof(all, 'n2', table)
  watermarks.noteProof(all, 'n3', table)
  watermarks.hearProof({ pair: makePair('n3', 'n2'), table, partitions: all })
}

const versionOf = (counter: number, past: readonly [Actor, number][] = []): Version => ({
  dot: { actor, counter },
  past: new Map(past),
  tombstone: true,
  contentType: '',
  meta: [],
  timeMs: 1000,
  expiresAtMs: 0,
  size: 0,
  value: null,
  contentHash: Buffer.alloc(16)
})

describe('a watermark', () => {
  test('is forgotten with what this node had proven, once its rows were found damaged', () => {
    const { watermarks, changes } = open('n1')
    proveAll(watermarks, tableOf(7))
    changes.length = 0
    watermarks.forget(0)
    assert.equal(watermarks.vector(0).size, 0)
    assert.equal(watermarks.floor(0).size, 0)
    assert.equal(watermarks.atOrBelow(1, { actor, counter: 7 }), true, 'only of this partition')
    assert.deepEqual(
      changes.map(({ kind }) => kind),
      ['doubts', 'proofs', 'proofs', 'watermarks']
    )
    // What others prove among themselves does not bring it back; an exchange of its own with each of them does.
    watermarks.hearProof({ pair: makePair('n2', 'n3'), table: tableOf(9), partitions: [0] })
    assert.equal(watermarks.vector(0).size, 0)
    watermarks.noteProof([0], 'n2', tableOf(9))
    watermarks.noteProof([0], 'n3', tableOf(9))
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 9 }), true)
  })

  test('a proof that was only prepared goes the same way', () => {
    const { watermarks } = open('n1')
    watermarks.noteProof(all, 'n3', tableOf(6))
    watermarks.prepareProof(all, 'n2', tableOf(6))
    watermarks.forget(0)
    assert.equal(watermarks.floor(0).size, 0)
    assert.deepEqual(watermarks.floor(1), vectorOf(6))
  })

  test('that was forgotten does not come back with one peer, which may have lost the same', () => {
    const { watermarks } = open('n1')
    proveAll(watermarks, tableOf(7))
    watermarks.forget(0)
    watermarks.hear(0, vectorOf(7))
    assert.equal(watermarks.isBehind(0), false, 'damage is no reason to answer no reads')
    watermarks.noteProof([0], 'n2', tableOf(8))
    watermarks.join(0, vectorOf(7), tableOf(8))
    assert.equal(watermarks.vector(0).size, 0)
    watermarks.noteProof([0], 'n3', tableOf(8))
    watermarks.join(0, vectorOf(7), tableOf(8))
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 7 }), true)
    assert.equal(watermarks.isBehind(0), false)
  })

  test('that was forgotten stays so over a restart', async () => {
    const database = await memoryDatabase()
    const { watermarks, settle } = await openReplica(database)
    for (const peer of ['n2', 'n3']) watermarks.noteProof([0], peer, tableOf(7))
    watermarks.hearProof({ pair: makePair('n2', 'n3'), table: tableOf(7), partitions: [0] })
    watermarks.forget(0)
    await settle()
    const { watermarks: restarted } = await openReplica(database)
    restarted.hear(0, vectorOf(7))
    assert.equal(restarted.isBehind(0), false, 'it is the same disk')
    restarted.noteProof([0], 'n2', tableOf(8))
    restarted.join(0, vectorOf(7), tableOf(8))
    assert.equal(restarted.vector(0).size, 0, 'the two may have lost the same')
    restarted.noteProof([0], 'n3', tableOf(8))
    restarted.join(0, vectorOf(7), tableOf(8))
    assert.equal(restarted.atOrBelow(0, { actor, counter: 7 }), true)
  })

  test('of an old disk that is damaged as well is behind, until it has exchanged', () => {
    for (const isHeardFirst of [true, false]) {
      const { watermarks } = open('n1')
      proveAll(watermarks, tableOf(3))
      if (isHeardFirst) watermarks.hear(0, vectorOf(7))
      watermarks.forget(0)
      watermarks.hear(0, vectorOf(7))
      assert.equal(watermarks.isBehind(0), true, 'peers have let go what this node may hold')
      watermarks.forget(0)
      assert.equal(watermarks.isBehind(0), true, 'further damage changes nothing')
      watermarks.noteProof([0], 'n2', tableOf(8))
      watermarks.join(0, vectorOf(7), tableOf(8))
      assert.equal(watermarks.isBehind(0), false)
      assert.equal(watermarks.vector(0).size, 0, 'what it lacks still proves nothing')
    }
  })

  test('has no more reports than a table that can be read: only those that are there already still rise', () => {
    const { watermarks } = open('n1')
    const settled = (from: number, count: number): ReportTable => {
      const names = Array.from({ length: count }, (_, i) => String(from + i).padStart(8, '0'))
      return new Map(names.map((name) => [name, { member: 'n2', upTo: ended, lower: new Map() }]))
    }
    watermarks.learnReports(tableOf(7))
    watermarks.learnReports(settled(0, 40_000))
    watermarks.learnReports(settled(40_000, 40_000))
    watermarks.learnReports(tableOf(9))
    const table = decodeTable(encodeTable(watermarks.table))
    assert.equal(table.size, vectorEntriesMax)
    assert.equal(table.get(incarnation)?.upTo, 9)
  })

  test('of the only replica is not forgotten: nobody could bring it level', () => {
    const { watermarks } = open('n1', ['n1'])
    watermarks.learnReports(tableOf(7))
    watermarks.forget(0)
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 7 }), true)
  })

  test('rises once the last pair is proven, to what all pairs have proven', () => {
    const { watermarks } = open('n1')
    watermarks.noteProof(all, 'n2', tableOf(9))
    watermarks.noteProof(all, 'n3', tableOf(7))
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 1 }), false)
    watermarks.hearProof({ pair: makePair('n2', 'n3'), table: tableOf(8), partitions: [0] })
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 7 }), true)
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 8 }), false)
    assert.equal(watermarks.atOrBelow(1, { actor, counter: 1 }), false, 'nobody proved partition 1')
    assert.equal(watermarks.atOrBelow(3, { actor, counter: 1 }), false, 'held by others')
  })

  test('stays lower where hints hold a write back, and never falls', () => {
    const { watermarks } = open('n1')
    proveAll(watermarks, tableOf(9, [[2, 4]]))
    assert.equal(watermarks.atOrBelow(1, { actor, counter: 9 }), true)
    assert.equal(watermarks.atOrBelow(2, { actor, counter: 5 }), false)
    proveAll(watermarks, tableOf(3))
    assert.equal(watermarks.atOrBelow(1, { actor, counter: 9 }), true)
  })

  test('partitions share one vector, and one write to disk', () => {
    const { watermarks, changes } = open('n1')
    proveAll(watermarks, tableOf(9))
    assert.equal(watermarks.vector(0), watermarks.vector(1))
    const risen = changes.filter(({ kind }) => kind === 'watermarks')
    assert.deepEqual(risen, [{ kind: 'watermarks', partitions: [0, 1, 2] }])
  })

  test('of itself a node believes no hearsay', () => {
    const { watermarks } = open('n1')
    watermarks.noteProof(all, 'n2', tableOf(9))
    for (const other of ['n1', 'n2']) {
      watermarks.hearProof({ pair: makePair('n3', other), table: tableOf(9), partitions: all })
    }
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 1 }), false)
  })

  test('the only replica has nobody to prove anything with', () => {
    const { watermarks } = open('n1', ['n1'])
    watermarks.learnReports(tableOf(5))
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 5 }), true)
  })

  test('joins no more of a peer than the exchange has proven', () => {
    const { watermarks } = open('n1')
    watermarks.join(0, vectorOf(9), tableOf(6))
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 6 }), true)
    assert.equal(watermarks.atOrBelow(0, { actor, counter: 7 }), false)
  })

  test('says what it waits for', () => {
    const { watermarks } = open('n1')
    watermarks.learnReports(tableOf(9))
    watermarks.noteProof(all, 'n2', tableOf(8))
    const { pairsWithoutProof, pairsNotUpToDate } = watermarks.holdup(0)
    assert.deepEqual(pairsNotUpToDate, [makePair('n1', 'n2')])
    assert.deepEqual(pairsWithoutProof, [makePair('n1', 'n3'), makePair('n2', 'n3')])
    assert.deepEqual(watermarks.withoutReport(['n1', 'n2']), ['n2'])
  })
})

test('what peers have named stays known under its name while proofs come in', () => {
  const { watermarks } = open('n1')
  const isNamed = (counter: number) =>
    watermarks.vectorNamed(nameOfWatermark(vectorOf(counter))) !== null
  for (let counter = 1; counter <= 200; counter++) {
    watermarks.hear(3, vectorOf(counter))
    watermarks.noteProof(all, 'n2', tableOf(counter))
    const isRecent = isNamed(counter) && isNamed(Math.max(1, counter - 10))
    assert.ok(isRecent, `${counter} were named, and the last ones are not known any more`)
  }
  assert.equal(isNamed(1), false, 'it was named longest ago')
})

describe('a tombstone', () => {
  test('may go once it and all that it buries are at or below the watermark', () => {
    const { watermarks } = open('n1')
    proveAll(watermarks, tableOf(5))
    const other = makeActor('incarn.2', 1)
    assert.equal(watermarks.collectable(0, versionOf(5, [[actor, 4]]), 0), true)
    assert.equal(watermarks.collectable(0, versionOf(6), 0), false)
    assert.equal(watermarks.collectable(0, versionOf(5, [[other, 1]]), 0), false)
    const live = { ...versionOf(5), tombstone: false, expiresAtMs: 2000 }
    assert.equal(watermarks.collectable(0, live, 1999), false)
    assert.equal(watermarks.collectable(0, live, 2000), true)
  })
})

describe('a node is behind', () => {
  test('where a peer can answer for more than its own exchanges have proven', () => {
    const { watermarks } = open('n1')
    watermarks.noteProof(all, 'n2', tableOf(5))
    watermarks.noteProof(all, 'n3', tableOf(5))
    watermarks.hear(0, vectorOf(5))
    assert.equal(watermarks.isBehind(0), false, 'the peer has only concluded first')
    watermarks.hear(0, vectorOf(6))
    assert.equal(watermarks.isBehind(0), true)
    assert.equal(watermarks.isBehind(1), false)
  })

  test('not where a peer has noted the proof of an exchange whose last answer was lost', () => {
    const { watermarks, changes } = open('n1')
    watermarks.noteProof(all, 'n3', tableOf(6))
    watermarks.prepareProof([0, 1], 'n2', tableOf(6))
    assert.deepEqual(changes.at(-1), {
      kind: 'prepared',
      pair: makePair('n1', 'n2'),
      partitions: [0, 1]
    })
    watermarks.hear(0, vectorOf(6))
    assert.equal(watermarks.isBehind(0), false)
    watermarks.hear(2, vectorOf(6))
    assert.equal(watermarks.isBehind(2), true, 'of this partition nothing was prepared')
    watermarks.hearProof({ pair: makePair('n2', 'n3'), table: tableOf(6), partitions: all })
    assert.equal(watermarks.vector(0).size, 0, 'it is no proof')
  })

  test('until an equal exchange lets it join', () => {
    const { watermarks } = open('n1')
    watermarks.hear(0, vectorOf(6))
    watermarks.join(0, vectorOf(6), tableOf(5))
    assert.equal(watermarks.isBehind(0), true)
    watermarks.join(0, vectorOf(6), tableOf(ended))
    assert.equal(watermarks.isBehind(0), false)
  })

  test('only in partitions that it holds', () => {
    const { watermarks } = open('n1')
    watermarks.hear(3, vectorOf(6))
    assert.equal(watermarks.isBehind(3), false)
  })
})
