import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../core/bytes.ts'
import { hash64 } from '../../core/hash.ts'
import type { Member } from '../../ring/cluster-document.ts'
import { buildRing, type Ring } from '../../ring/ring.ts'
import { documents, foundersOf, historyOf, memberOf, steps } from './arbitraries.ts'

const partitions = 256

function ringOf(members: Iterable<Member>, n = 3): Ring {
  return buildRing(members, { partitions, replication: { n } })
}

function regionalRingOf(members: Iterable<Member>, regions: Record<string, number>): Ring {
  const replication = { regions: new Map(Object.entries(regions)) }
  return buildRing(members, { partitions, replication })
}

function replicaSets(ring: Ring): readonly (readonly string[])[] {
  return Array.from({ length: ring.partitions }, (_, partition) => ring.replicas(partition))
}

/** All that can be seen of a ring. */
function contentOf(ring: Ring): unknown {
  const walks = Array.from({ length: ring.partitions }, (_, partition) => ring.walk(partition))
  const { epoch, owners, memberIds } = ring
  return { epoch, owners, memberIds, walks, replicas: replicaSets(ring) }
}

describe('ring', () => {
  it('is the same from release to release, since nodes of both must agree on it', () => {
    const members = historyOf(foundersOf(4, 2), [2, 4, 1, 6, 3], { least: 3, most: 9, zones: 2 })
    const ring = ringOf(members.at(-1) ?? [])
    const walks = Array.from({ length: partitions }, (_, partition) => ring.walk(partition))
    assert.equal(ring.epoch, 'd9cbb8a08987cb2f')
    assert.equal(toHex(hash64(Buffer.from(walks.join(' ')))), '28d8ed403d7c2bfc')
  })

  it('depends on the records, not on their order', () => {
    const bounds = { least: 2, most: 9, zones: 3 }
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), steps, fc.nat(), (founders, changes, turn) => {
        const members = historyOf(foundersOf(founders, 2), changes, bounds).at(-1) ?? []
        const turned = members.toSorted((a, b) => order(a, turn) - order(b, turn))
        assert.deepEqual(contentOf(ringOf(turned)), contentOf(ringOf(members)))
      }),
      { numRuns: 20 }
    )
  })

  it('can be built from any valid document, in which walks are complete and replicas first', () => {
    const counts = fc.constantFrom(1, 2, 4, 16, 256)
    fc.assert(
      fc.property(documents, counts, fc.boolean(), (document, partitionCount, byRegion) => {
        const regions = new Map([
          ['eu', 2],
          ['us', 1]
        ])
        const ring = buildRing(document.members.values(), {
          partitions: partitionCount,
          replication: byRegion ? { regions } : { n: 2 }
        })
        const expected = [...document.members.values()]
          .filter(({ state }) => state === 'normal' || state === 'leaving')
          .map(({ id }) => id)
          .sort()
        assert.deepEqual(ring.memberIds, expected)
        for (let partition = 0; partition < partitionCount; partition++) {
          const walk = ring.walk(partition)
          assert.deepEqual([...walk].sort(), expected)
          const replicas = ring.replicas(partition)
          assert.deepEqual(replicas, walk.slice(0, replicas.length))
          assert.equal(ring.owners[partition], replicas[0])
          if (!byRegion) assert.equal(replicas.length, Math.min(2, expected.length))
        }
      }),
      { numRuns: 200 }
    )
  })

  it('holds nothing without members', () => {
    const ring = ringOf([memberOf('a', { state: 'joining' })])
    assert.deepEqual(ring.owners, [])
    assert.deepEqual(ring.replicas(0), [])
    assert.deepEqual(ring.walk(0), [])
  })

  it('follows the owners clockwise where zones do not matter', () => {
    const ring = ringOf(foundersOf(7))
    for (let partition = 0; partition < partitions; partition++) {
      const clockwise = Array.from(
        { length: partitions },
        (_, step) => ring.owners[(partition + step) % partitions] ?? ''
      )
      assert.deepEqual(ring.walk(partition), [...new Set(clockwise)])
    }
  })

  it('puts replicas into as many zones as there are, over any history', () => {
    const zoneCounts = fc.integer({ min: 1, max: 5 })
    fc.assert(
      fc.property(zoneCounts, zoneCounts, steps, (zones, n, changes) => {
        const records = historyOf(foundersOf(4, zones), changes, { least: 2, most: 10, zones })
        const members = records.at(-1) ?? []
        const present = members.filter(({ state }) => state === 'normal')
        const zoneById = new Map(present.map(({ id, zone }) => [id, zone]))
        const zoneCount = new Set(zoneById.values()).size
        for (const replicas of replicaSets(ringOf(members, n))) {
          assert.equal(new Set(replicas).size, Math.min(n, present.length))
          const held = new Set(replicas.map((id) => zoneById.get(id)))
          assert.equal(held.size, Math.min(n, zoneCount))
        }
      }),
      { numRuns: 40 }
    )
  })

  it('moves no owner when the number of replicas is changed', () => {
    const members = foundersOf(9, 3)
    assert.deepEqual(ringOf(members, 5).owners, ringOf(members, 2).owners)
  })

  it('is shared by those who merely joined, and kept by those who are leaving', () => {
    const founders = foundersOf(4)
    const leaving = founders.map(
      (member, index): Member =>
        index === 0 ? { ...member, state: 'leaving', version: 2 } : member
    )
    const waiting = [...leaving, memberOf('w', { state: 'joining' })]
    assert.deepEqual(contentOf(ringOf(waiting)), contentOf(ringOf(founders)))
  })

  it('takes no notice of who was removed without ever having been in the ring', () => {
    const founders = foundersOf(4)
    const never = memberOf('x', { state: 'removed', joinedAt: 0, removedAt: 0 })
    assert.deepEqual(contentOf(ringOf([...founders, never])), contentOf(ringOf(founders)))
  })
})

describe('the epoch of a ring', () => {
  it('is 16 hexadecimal digits', () => {
    assert.match(ringOf(foundersOf(3)).epoch, /^[0-9a-f]{16}$/)
  })

  it('stays when something changes that the ring does not depend on', () => {
    const founders = foundersOf(3)
    const moved = founders.map((member) => ({ ...member, version: 9, http: 'h', peer: 'p' }))
    const elsewhere = founders.map((member) => ({ ...member, region: 'eu' }))
    assert.equal(ringOf(moved).epoch, ringOf(founders).epoch)
    assert.equal(ringOf(elsewhere).epoch, ringOf(founders).epoch)
  })

  it('changes with everything that the ring depends on', () => {
    const founders = foundersOf(3)
    const changed = (fields: Partial<Member>): readonly Member[] =>
      founders.map((member, index) => (index === 0 ? { ...member, ...fields } : member))
    const rings = [
      ringOf(founders),
      ringOf(founders, 2),
      buildRing(founders, { partitions: 128, replication: { n: 3 } }),
      regionalRingOf(founders, { '': 3 }),
      ringOf(changed({ id: 'other' })),
      ringOf(changed({ zone: 'other' })),
      ringOf(changed({ weight: 2 })),
      ringOf(changed({ joinedAt: 1 })),
      ringOf(changed({ state: 'joining' })),
      ringOf(changed({ state: 'removed', removedAt: 1 })),
      ringOf(changed({ state: 'removed', removedAt: 2 }))
    ]
    assert.equal(new Set(rings.map(({ epoch }) => epoch)).size, rings.length)
  })
})

describe('a ring over several regions', () => {
  const eu = ['e1', 'e2', 'e3', 'e4'].map((id) => memberOf(id, { region: 'eu' }))
  const us = ['u1', 'u2', 'u3'].map((id) => memberOf(id, { region: 'us' }))
  const outside = memberOf('o1', { region: 'moon' })
  const quotas = { eu: 3, us: 2 }

  it('has the replicas asked for in each region, and nothing outside of them', () => {
    const ring = regionalRingOf([...eu, ...us, outside], quotas)
    for (const replicas of replicaSets(ring)) {
      assert.equal(replicas.filter((id) => id.startsWith('e')).length, 3)
      assert.equal(replicas.filter((id) => id.startsWith('u')).length, 2)
      assert.equal(replicas.length, 5)
    }
    assert.equal(ring.walk(0).at(-1), 'o1')
  })

  it('moves nothing in one region when another changes', () => {
    const before = regionalRingOf([...eu, ...us], quotas)
    const joined = memberOf('u4', { region: 'us', joinedAt: 1 })
    const after = regionalRingOf([...eu, ...us, joined], quotas)
    const inEurope = (ring: Ring): unknown =>
      replicaSets(ring).map((replicas) => replicas.filter((id) => id.startsWith('e')))
    assert.deepEqual(inEurope(after), inEurope(before))
  })

  it('spreads owning over all regions', () => {
    const ring = regionalRingOf([...eu, ...us], quotas)
    for (const { id } of [...eu, ...us]) {
      const share = ring.owners.filter((owner) => owner === id).length / partitions
      assert.ok(share > 0.8 / 7 && share < 1.2 / 7, `${id} owns ${share}`)
    }
  })

  it('does without a region in which nobody is', () => {
    const ring = regionalRingOf(eu, quotas)
    for (const replicas of replicaSets(ring)) assert.equal(replicas.length, 3)
  })
})

/** An arbitrary order of members for every `turn`. */
function order({ id }: Member, turn: number): number {
  return Buffer.from(hash64(Buffer.from(`${id} ${turn}`))).readUInt32BE()
}
