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

test('a hint goes to its target, or somewhere where it is as good, or stays', () => {
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
      assert.deepEqual(route, { kind: 'deliver', to: target }, 'whatever its age')
      return
    }
    if (route.kind === 'deliver' || route.kind === 'handOver') {
      assert.ok(replicas.includes(route.to) && able.includes(route.to))
      assert.ok(!isReplica || isExpired, 'nobody else gets what the target is still to get')
      assert.equal(route.kind === 'handOver', isReplica)
      const others = replicas.filter((id) => id !== 'a' && able.includes(id))
      if (route.to === 'a') assert.deepEqual(others, [], 'this node is the last to hand to')
    }
    if (route.kind === 'drop') assert.ok(isExpired && isHeldHere && replicas.includes('a'))
    if (route.kind === 'wait') {
      assert.equal(route.isForTarget, isReplica)
      assert.equal(route.overdue, isExpired)
      if (isExpired || !isReplica) assert.ok(!replicas.some((id) => able.includes(id)))
    }
  })
  fc.assert(law, lawRuns(2000))
})

test('a clock that went back makes no hint younger than new', () => {
  assert.equal(hintAgeMs(1000, 400), 0)
  assert.equal(hintAgeMs(1000, 1400), 400)
})
