import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Quorum, resolveQuorum } from '../../server/coordinator/quorum.ts'
import { ReadTally } from '../../server/coordinator/read-tally.ts'
import { planStandIns, StandIns } from '../../server/coordinator/stand-ins.ts'
import { WriteTally } from '../../server/coordinator/write-tally.ts'
import { nothingHash } from '../../server/local-replica.ts'
import { hashObject } from '../../storage/version.ts'
import { lawRuns } from '../core/law-runs.ts'
import { keyOf, memoryDatabase, openStore, put, writeOf } from '../storage/open-store.ts'

const replicas = ['a', 'b', 'c']
const others = ['d', 'e', 'f']

const quorumOf = (needed: number): Quorum =>
  resolveQuorum(needed, 'w', {
    replication: { n: 3 },
    replicas,
    regionOf: () => '',
    ownRegion: ''
  })

/** What happens to one write: who acknowledges or fails, for itself or in place of a replica. */
const events = fc.array(
  fc.record({
    kind: fc.constantFrom('acknowledged', 'failed', 'standIn'),
    replica: fc.constantFrom(...replicas),
    node: fc.constantFrom(...others)
  }),
  { maxLength: 20 }
)

describe('a write with stand-ins', () => {
  it('counts distinct nodes, each in one place, and each replica once', () => {
    const law = fc.property(events, fc.integer({ min: 1, max: 3 }), (list, needed) => {
      const tally = new WriteTally(replicas, quorumOf(needed))
      const acknowledging = new Set<string>()
      for (const { kind, replica, node } of list) {
        const decision =
          kind === 'standIn'
            ? tally.addStandIn(replica, node)
            : tally.add(
                replica,
                kind === 'failed' ? { kind, unknown: false } : { kind: 'acknowledged' }
              )
        if (kind === 'acknowledged') acknowledging.add(replica)
        if (kind === 'standIn') acknowledging.add(node)
        assert.ok(tally.acknowledged <= acknowledging.size, 'no node counts twice')
        assert.ok(tally.acknowledged <= replicas.length && tally.hinted <= tally.acknowledged)
        if (decision.kind === 'done') assert.ok(tally.acknowledged >= needed)
      }
    })
    fc.assert(law, lawRuns(1000))
  })

  it('is done with one replica and one stand-in, and says so', () => {
    const tally = new WriteTally(replicas, quorumOf(2))
    assert.equal(tally.add('a', { kind: 'acknowledged' }).kind, 'wait')
    assert.equal(tally.addStandIn('b', 'd').kind, 'done')
    assert.deepEqual([tally.acknowledged, tally.hinted], [2, 1])
  })

  it('is not done by one node in place of two replicas', () => {
    const tally = new WriteTally(replicas, quorumOf(2))
    tally.kept()
    tally.addStandIn('a', 'd')
    assert.equal(tally.addStandIn('b', 'd').kind, 'wait')
    assert.equal(tally.addStandIn('a', 'e').kind, 'wait')
    assert.equal(tally.addStandIn('b', 'e').kind, 'done')
  })

  it('waits for a replica, or for what its coordinator keeps, besides the hints of others', () => {
    const standsOnReplica = new WriteTally(replicas, quorumOf(2))
    standsOnReplica.addStandIn('a', 'd')
    assert.equal(standsOnReplica.addStandIn('b', 'e').kind, 'wait')
    assert.equal(standsOnReplica.add('c', { kind: 'acknowledged' }).kind, 'done')
    const standsOnCoordinator = new WriteTally(replicas, quorumOf(2))
    standsOnCoordinator.addStandIn('a', 'd')
    standsOnCoordinator.addStandIn('b', 'e')
    assert.equal(standsOnCoordinator.kept().kind, 'done')
  })

  it('fails where only hints of others are left, and no replica that could still answer', () => {
    const tally = new WriteTally(replicas, quorumOf(2))
    assert.equal(tally.add('a', { kind: 'acknowledged' }).kind, 'wait')
    const now = ['b', 'c', 'd']
    tally.changeReplicas(now, [{ replicas: now, needed: 2 }])
    assert.equal(tally.addStandIn('b', 'x').kind, 'wait')
    assert.equal(tally.addStandIn('c', 'y').kind, 'wait')
    const last = tally.add('d', { kind: 'failed', unknown: false })
    assert.deepEqual(last, { kind: 'fail', timedOut: false })
    assert.ok(tally.decided)
  })

  it('counts a stand-in that became a replica meanwhile as that one only', () => {
    const tally = new WriteTally(replicas, quorumOf(2))
    tally.addStandIn('b', 'd')
    const now = ['a', 'b', 'd']
    tally.changeReplicas(now, [{ replicas: now, needed: 2 }])
    assert.equal(tally.add('d', { kind: 'acknowledged' }).kind, 'wait')
    assert.equal(tally.add('a', { kind: 'acknowledged' }).kind, 'done')
  })
})

describe('a read with stand-ins', () => {
  const nothing = { kind: 'versions', versions: [], objectHash: nothingHash } as const

  it('counts their answers and does not repair in their place', async () => {
    const { store } = await openStore(await memoryDatabase())
    const key = keyOf('k')
    const { versions } = put(store, key, writeOf('new')).result
    const newest = { kind: 'versions', versions, objectHash: hashObject(versions) } as const
    const tally = new ReadTally(replicas, quorumOf(2), 'siblings')
    tally.start(true)
    assert.equal(tally.add('a', newest).kind, 'wait')
    assert.equal(tally.add('b', nothing, true).kind, 'answer')
    tally.add('c', nothing)
    assert.deepEqual(tally.stale(tally.merged()), ['c'])
  })

  it('says that nothing is there only where a replica was heard', () => {
    const tally = new ReadTally(replicas, quorumOf(2), 'siblings')
    tally.start(false)
    tally.add('a', nothing, true)
    assert.deepEqual(tally.add('b', nothing, true), { kind: 'ask', replicas: ['c'] })
    assert.deepEqual(tally.add('c', nothing, true), { kind: 'fail', timedOut: false })
    const heard = new ReadTally(replicas, quorumOf(2), 'siblings')
    heard.start(false)
    heard.add('a', nothing)
    assert.equal(heard.add('b', nothing, true).kind, 'answer')
  })

  it('does not take a damaged row for nothing as long as a replica was not heard', () => {
    for (const byStandIn of [true, false]) {
      const tally = new ReadTally(replicas, quorumOf(2), 'siblings')
      tally.start(true)
      tally.add('a', { kind: 'damaged' })
      tally.add('b', nothing)
      tally.add('c', nothing, byStandIn)
      assert.deepEqual(tally.stale([]), byStandIn ? [] : ['a'])
    }
  })
})

describe('a plan for replicas that are down', () => {
  const plans = fc.record({
    up: fc.subarray(replicas),
    healthy: fc.subarray(others),
    asFallback: fc.boolean(),
    sloppy: fc.boolean()
  })

  it('has each that is down kept once, by distinct nodes that are no replicas, or here', () => {
    const law = fc.property(plans, ({ up, healthy, asFallback, sloppy }) => {
      const self = 'self'
      const candidates = asFallback ? [...healthy, self] : healthy
      const free = sloppy ? new StandIns(candidates, () => true) : null
      const isUp = (id: string) => up.includes(id)
      const plan = planStandIns(replicas, isUp, free, asFallback ? self : null)
      const nodes = [...plan.standIns.values()]
      assert.equal(new Set(nodes).size, nodes.length)
      for (const node of nodes) assert.ok(healthy.includes(node))
      const own = plan.own === null ? [] : [plan.own]
      const cared = [...plan.standIns.keys(), ...plan.kept, ...own]
      assert.equal(new Set(cared).size, cared.length)
      for (const replica of replicas) {
        if (!isUp(replica)) assert.ok(cared.includes(replica))
      }
      if (asFallback) assert.ok(own.length + plan.kept.length > 0, 'it keeps what it has minted')
      if (!sloppy) assert.equal(nodes.length + own.length, 0)
    })
    fc.assert(law, lawRuns(500))
  })

  it('asks nobody of another region', () => {
    const region = (id: string) => (['a', 'd'].includes(id) ? 'eu' : 'us')
    const free = new StandIns(others, (node, replica) => region(node) === region(replica))
    const plan = planStandIns(replicas, () => false, free, null)
    assert.deepEqual(Object.fromEntries(plan.standIns), { a: 'd', b: 'e', c: 'f' })
    const few = new StandIns(['e', 'f'], (node, replica) => region(node) === region(replica))
    assert.deepEqual(planStandIns(replicas, () => false, few, null).kept, ['a'])
  })
})
