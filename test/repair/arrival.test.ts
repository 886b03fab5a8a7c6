import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  type ArrivalRules,
  type Conclusion,
  conclude,
  judgeArrival,
  type Opinion,
  opinionOn
} from '../../repair/arrival.ts'
import type { Version } from '../../storage/version.ts'
import { type Actor, formatDot, makeActor } from '../../storage/version-vector.ts'
import { lawRuns } from '../core/law-runs.ts'

const actor = makeActor('incarn.1', 1)
const watermark = new Map([['incarn.1', 5]])
const nowMs = 1_000_000

function version(counter: number, fields: Partial<Version> = {}): Version {
  return {
    dot: { actor, counter },
    past: new Map<Actor, number>(),
    tombstone: false,
    contentType: '',
    meta: [],
    timeMs: counter,
    expiresAtMs: 0,
    size: 1,
    value: Buffer.of(counter),
    contentHash: Buffer.alloc(16, counter),
    ...fields
  }
}

const siblings: ArrivalRules = { mode: 'siblings', watermark, nowMs }
const lww: ArrivalRules = { ...siblings, mode: 'lww' }
const judged = (what: Version, conclusion: Conclusion) =>
  new Map([[formatDot(what.dot), conclusion]])

describe('what arrives', () => {
  test('is taken at once where it is new, or where nothing is proven', () => {
    assert.equal(judgeArrival([], [version(6)], siblings).kind, 'take')
    assert.equal(judgeArrival([], [version(3)], { ...siblings, watermark: new Map() }).kind, 'take')
  })

  test('is in doubt where it was here once, and nothing here tells of it', () => {
    const arrival = judgeArrival([version(4)], [version(3), version(6)], siblings)
    assert.deepEqual(arrival, { kind: 'consult', suspects: [version(3)] })
  })

  test('is known where it is held, or overwritten by what is held', () => {
    const over = version(4, { past: new Map([[actor, 3]]) })
    assert.equal(judgeArrival([version(3)], [version(3)], siblings).kind, 'take')
    assert.equal(judgeArrival([over], [version(3)], siblings).kind, 'take')
  })

  test('has lost against a later write where the latest wins, and raises no alarm', () => {
    assert.equal(judgeArrival([version(4)], [version(3)], lww).kind, 'take')
    assert.equal(judgeArrival([version(3)], [version(4)], lww).kind, 'consult')
  })

  test('is taken whole or not at all', () => {
    const both = [version(3), version(6)]
    const refused = judgeArrival([], both, siblings, judged(version(3), 'refuse'))
    assert.equal(refused.kind, 'refuse')
    const regained = judgeArrival([], both, siblings, judged(version(3), 'take'))
    assert.deepEqual(regained, { kind: 'take', versions: both, quarantined: [] })
    const parted = judgeArrival([], both, siblings, judged(version(3), 'quarantine'))
    assert.deepEqual(parted, { kind: 'take', versions: [version(6)], quarantined: [version(3)] })
  })

  test('is let go, if it is a late delete with nothing left to bury', () => {
    const spent = version(3, { tombstone: true, value: null, size: 0 })
    const taken = judgeArrival([version(4)], [spent], siblings)
    assert.deepEqual(taken, { kind: 'take', versions: [], quarantined: [] })
    const burying = { ...spent, past: new Map([[actor, 2]]) }
    assert.equal(judgeArrival([version(2)], [burying], siblings).kind, 'consult')
    const unproven = { ...spent, past: new Map([[makeActor('incarn.2', 1), 1]]) }
    assert.equal(judgeArrival([], [unproven], siblings).kind, 'consult')
  })

  test('counts as a delete once it has expired', () => {
    const expiring = version(3, { expiresAtMs: nowMs })
    assert.equal(judgeArrival([], [expiring], siblings).kind, 'take')
    assert.equal(judgeArrival([], [expiring], { ...siblings, nowMs: nowMs - 1 }).kind, 'consult')
  })
})

describe('the other replicas', () => {
  const opinions = fc.array(fc.constantFrom<Opinion>('has', 'lacks', 'unknown'), { maxLength: 4 })

  test('are believed: one that has it is enough, and only all that lack it are', () => {
    fc.assert(
      fc.property(opinions, (all) => {
        const expected = all.includes('has')
          ? 'take'
          : all.length > 0 && !all.includes('unknown')
            ? 'quarantine'
            : 'refuse'
        assert.equal(conclude(all), expected)
      }),
      lawRuns(200)
    )
  })

  test('are not enough where they cannot answer for it, unless all but the receiver hold it', () => {
    assert.equal(conclude(['claims', 'lacks'], null), 'refuse')
    assert.equal(conclude(['claims'], 'lacks'), 'refuse')
    assert.equal(conclude(['claims'], 'unknown'), 'refuse')
    assert.equal(conclude(['claims'], 'has'), 'take')
    assert.equal(conclude(['claims', 'claims'], null), 'take')
  })

  test('are none where there are two replicas: then the sender has to answer for itself', () => {
    assert.equal(conclude([], 'has'), 'take')
    assert.equal(conclude([], 'claims'), 'quarantine')
    assert.equal(conclude([], 'unknown'), 'refuse')
    assert.equal(conclude([], null), 'refuse')
  })

  test('say what they hold, and that they lack only what they once had', () => {
    const held = [version(4)]
    assert.equal(opinionOn(version(4).dot, held, watermark, false), 'has')
    assert.equal(opinionOn(version(3).dot, held, watermark, false), 'lacks')
    assert.equal(opinionOn(version(6).dot, held, watermark, false), 'unknown')
    assert.equal(opinionOn(version(3).dot, held, watermark, true), 'unknown')
    assert.equal(opinionOn(version(4).dot, held, watermark, true), 'has')
  })
})
