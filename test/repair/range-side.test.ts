import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AnnealError } from '../../core/errors.ts'
import { ended } from '../../repair/report-table.ts'
import { WatermarkFacts } from '../../repair/watermark-facts.ts'
import { LocalReplica } from '../../server/local-replica.ts'
import { NodeRangeSide, type NodeRangeSideOptions } from '../../server/repair/node-range-side.ts'
import { encodeObject } from '../../storage/object-codec.ts'
import { incarnationOf } from '../../storage/version-vector.ts'
import { keyOf, memoryDatabase, openStore, put, writeOf } from '../storage/open-store.ts'

import { type OpenedReplica, openReplica } from './open-replica.ts'
import { MemorySide } from './reconcile-side.ts'

const notAsked = () => {
  throw new Error('rows are taken in without it')
}

async function openSide(more: Partial<NodeRangeSideOptions> = {}) {
  const replica = await openReplica(await memoryDatabase())
  const { store, reception, clock } = replica
  const time = { now: () => clock.nowMs, monotonic: () => clock.nowMs }
  const modeOf = () => 'siblings' as const
  const side = new NodeRangeSide({
    store,
    trees: new MemorySide(1).trees,
    keeper: { isReady: notAsked, verify: notAsked, listAll: notAsked },
    local: new LocalReplica({
      store,
      clock: time,
      siblingsMax: 10,
      objectBytesMax: 1000,
      reception,
      modeOf,
      beforeWrite: () => {}
    }),
    reception,
    facts: new WatermarkFacts(replica.watermarks),
    isReplica: () => true,
    writesRefused: () => null,
    modeOf,
    ...more
  })
  return { replica, side }
}

/** A row as another node sends it. */
async function rowFrom(name: string) {
  const { store } = await openStore(await memoryDatabase())
  const key = keyOf(name)
  const { versions } = put(store, key, writeOf('arrives')).result
  return { row: { key, object: encodeObject(versions, 'whole') }, versions }
}

/** All replicas are known to have had all that was ever written. */
function prove({ watermarks }: OpenedReplica, incarnation: string): void {
  const table = new Map([[incarnation, { member: 'n9', upTo: ended, lower: new Map() }]])
  watermarks.noteProof([0], 'n2', table)
  watermarks.noteProof([0], 'n3', table)
  watermarks.hearProof({ pair: { a: 'n2', b: 'n3' }, table, partitions: [0] })
}

describe('rows of an exchange that was ended meanwhile', () => {
  test('are not taken in after the disk was waited for', async () => {
    const { replica, side } = await openSide()
    const { row } = await rowFrom('late')
    put(replica.store, keyOf('large'), writeOf('x'.repeat(9 * 1024 * 1024)))
    let isWanted = true
    const received = side.receive([row], 'n2', () => isWanted)
    isWanted = false
    await assert.rejects(received, /was ended/)
    assert.equal(replica.store.read(row.key), null)
  })

  test('are neither taken nor set aside after the others were asked about them', async () => {
    const { replica, side } = await openSide()
    const { row, versions } = await rowFrom('ghost')
    for (const { dot } of versions) prove(replica, incarnationOf(dot.actor))
    const floor = replica.watermarks.vector(0)
    for (const opinion of ['lacks', 'has'] as const) {
      replica.answers.set('n3', { opinion, floor })
      let isWanted = true
      const received = side.receive([row], 'n2', () => isWanted)
      isWanted = false
      const [outcome] = await Promise.all(await received)
      assert.equal(outcome?.kind, 'refused')
    }
    assert.equal(replica.asked.length, 2)
    assert.equal(replica.store.read(row.key), null)
    assert.deepEqual(await replica.quarantine.list(10), [])
    const [outcome] = await Promise.all(await side.receive([row], 'n2', () => true))
    assert.equal(outcome?.kind, 'taken', 'the same is taken where it is wanted')
  })
})

test('a row that cannot be taken leaves no other behind that fails unheard', async () => {
  const { row } = await rowFrom('broken')
  const broken = new AnnealError('internal', 'a dot stands for two different payloads')
  const asked = Promise.withResolvers<never>()
  let rows = 0
  const takeBytes = () => {
    if (rows++ === 0) return asked.promise
    throw broken
  }
  const { side } = await openSide({ local: { takeBytes } })
  const unheard: unknown[] = []
  const note = (reason: unknown) => unheard.push(reason)
  process.on('unhandledRejection', note)
  try {
    const received = side.receive([row, row], 'n2', () => true)
    setImmediate(() => asked.reject(broken))
    await assert.rejects(received, broken)
    // Rejections that nobody has handled are told of once the microtasks of a turn have run.
    await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    process.off('unhandledRejection', note)
  }
  assert.deepEqual(unheard, [])
})
