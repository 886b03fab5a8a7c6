import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hintAgeMs, routeHint } from '../../repair/hint-route.ts'
import { lawRuns } from '../core/law-runs.ts'

const ids = ['a', 'b', 'c', 'd', 'e']

const situations = fc.record({
  target: fc.constantFrom(...ids),
  replicas: fc.shuffledSubarray(ids, { maxLength: 3 }),
  able: fc.subarray(ids),
  isExpired: fc.boolean(),
  isHeldHere: fc.boolean()
})

test('a hint goes to its target, or to a majority of the replicas, or stays', () => {
  const law = fc.property(situations, ({ target, replicas, able, isExpired, isHeldHere }) => {
    const route = routeHint({
      target,
      selfId: 'a',
      replicas,
      canTake: (id) => able.includes(id),
      isExpired,
      isHeldHere: () => isHeldHere
    })
    const isReplica = replicas.includes(target)
    if (isReplica && able.includes(target)) {
      assert.deepEqual(route, { kind: 'deliver', to: [target], needed: 1 }, 'whatever its age')
      return
    }
    const present = replicas.filter((id) => able.includes(id))
    const isMajority = 2 * present.length > replicas.length
    if (route.kind === 'wait') {
      assert.equal(route.isForTarget, isReplica)
      assert.equal(route.overdue, isExpired)
      if (isExpired || !isReplica) assert.ok(!isMajority, 'nothing stays that can go')
      return
    }
    assert.ok(!isReplica || isExpired, 'nobody else gets what the target is still to get')
    assert.ok(isMajority)
    assert.equal(route.kind === 'handOver', isReplica)
    const holders = isHeldHere && present.includes('a') ? ['a'] : []
    assert.deepEqual(
      [...holders, ...route.to].sort(),
      [...present].sort(),
      'nobody is sent it twice'
    )
    const whenGone = holders.length + route.needed
    assert.ok(2 * whenGone > replicas.length && 2 * (whenGone - 1) <= replicas.length)
  })
  fc.assert(law, lawRuns(2000))
})

test('a clock that went back makes no hint younger than new', () => {
  assert.equal(hintAgeMs(1000, 400), 0)
  assert.equal(hintAgeMs(1000, 1400), 400)
})
