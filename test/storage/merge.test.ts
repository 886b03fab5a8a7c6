import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { AnnealError } from '../../core/errors.ts'
import { encodeObject } from '../../storage/object-codec.ts'
import {
  hashContent,
  hashObject,
  merge,
  type Version,
  type Versions
} from '../../storage/version.ts'
import {
  type Actor,
  compareDots,
  covers,
  formatDot,
  makeActor
} from '../../storage/version-vector.ts'
import { lawRuns } from '../core/law-runs.ts'
import { type CausalHistory, causalHistories, dotsOf, statesOf } from './causal-history.ts'

const picks = fc.array(fc.nat({ max: 100 }), { minLength: 3, maxLength: 3 })

function equal(a: Versions, b: Versions): void {
  assert.deepEqual(dotsOf(a), dotsOf(b))
  assert.deepEqual(encodeObject(a, 'whole'), encodeObject(b, 'whole'))
}

/** Merging as sets of causal histories: what nobody's writer had seen stays, and in `lww` the latest of it all. */
function mergeOfHistories({ mode, seen }: CausalHistory, ...states: Versions[]): Versions {
  const union = [...new Map(states.flat().map((v) => [formatDot(v.dot), v])).values()]
  const latestFirst = (a: Version, b: Version) => b.timeMs - a.timeMs || compareDots(b.dot, a.dot)
  if (mode === 'lww') return union.sort(latestFirst).slice(0, 1)
  return union
    .filter((v) => !union.some((other) => seen.get(formatDot(other.dot))?.has(formatDot(v.dot))))
    .sort((a, b) => compareDots(a.dot, b.dot))
}

for (const mode of ['siblings', 'lww'] as const) {
  describe(`merge, ${mode}`, () => {
    const law = (check: (history: CausalHistory, a: Versions, b: Versions, c: Versions) => void) =>
      fc.assert(
        fc.property(causalHistories(mode), picks, (history, picked) => {
          const [a = [], b = [], c = []] = statesOf(history, picked)
          check(history, a, b, c)
        }),
        lawRuns(400)
      )

    test('is commutative', () => law((_, a, b) => equal(merge(a, b, mode), merge(b, a, mode))))

    test('is associative', () =>
      law((_, a, b, c) =>
        equal(merge(merge(a, b, mode), c, mode), merge(a, merge(b, c, mode), mode))
      ))

    test('is idempotent', () =>
      law((_, a, b) => {
        equal(merge(a, a, mode), a)
        equal(merge(merge(a, b, mode), b, mode), merge(a, b, mode))
      }))

    test('does what the true causal histories say', () =>
      law((history, a, b) => equal(merge(a, b, mode), mergeOfHistories(history, a, b))))

    test('equal objects have equal hashes, others have not', () =>
      law((_, a, b) => {
        const same = Buffer.compare(hashObject(a), hashObject(b)) === 0
        assert.equal(same, dotsOf(a).join() === dotsOf(b).join())
      }))
  })
}

const versions = fc
  .sample(causalHistories('siblings'), { numRuns: 100, seed: 1 })
  .flatMap(({ states }) => states.flat())

test('in the course of a history both siblings and overwritten versions come up', () => {
  const histories = fc.sample(causalHistories('siblings'), { numRuns: 100, seed: 1 })
  assert.ok(histories.some(({ states }) => states.some((state) => state.length > 2)))
  assert.ok(histories.some(({ seen }) => [...seen.values()].some((dots) => dots.size > 2)))
})

test('a lone replica in `lww` keeps one of several versions, too', () => {
  const histories = fc.sample(causalHistories('siblings'), { numRuns: 100, seed: 1 })
  const siblings = histories.flatMap(({ states }) => states).filter((state) => state.length > 1)
  assert.ok(siblings.length > 0)
  for (const state of siblings) assert.equal(merge(state, [], 'lww').length, 1)
})

/** As many versions as no cluster should have of one key; `pastOf`: what each has seen of the actor of which other. */
function manyVersions(count: number, pastOf: (i: number) => Map<Actor, number>): Versions {
  return Array.from({ length: count }, (_, i) => {
    const dot = { actor: makeActor('incarn.1', i + 1), counter: 2 }
    const fields = { contentType: '', meta: [], timeMs: 1, expiresAtMs: 0, size: 0, value: null }
    const contentHash = hashContent(dot, { ...fields, tombstone: true })
    return { ...fields, tombstone: true, dot, past: pastOf(i), contentHash }
  })
}

test('many versions are merged as few are', () => {
  const count = 60
  const pasts = fc.array(
    fc.array(fc.tuple(fc.nat(count - 1), fc.integer({ min: 1, max: 2 })), { maxLength: 2 }),
    { minLength: count, maxLength: count }
  )
  const law = fc.property(pasts, fc.nat(count), (entries, middle) => {
    const all = manyVersions(
      count,
      (i) => new Map(entries[i]?.map(([other, n]) => [makeActor('incarn.1', other + 1), n]))
    )
    const kept = all.filter((v) => !all.some((other) => other !== v && covers(other.past, v.dot)))
    equal(merge(all.slice(0, middle), all.slice(middle), 'siblings'), middle % count ? kept : all)
  })
  fc.assert(law, lawRuns(100))
})

test('however many versions come from a peer, each past is gone through once', () => {
  let looks = 0
  class Counted extends Map<Actor, number> {
    override get(actor: Actor): number | undefined {
      looks++
      return super.get(actor)
    }
    override [Symbol.iterator](): MapIterator<[Actor, number]> {
      looks++
      return super[Symbol.iterator]()
    }
  }
  const all = manyVersions(2000, () => new Counted())
  assert.equal(merge(all.slice(0, 1), all.slice(1), 'siblings').length, 2000)
  assert.ok(looks <= 2000, `${looks} looks at pasts`)
})

test('one dot with two payloads is refused', () => {
  const [version] = versions
  assert.ok(version !== undefined)
  const forged = { ...version, contentHash: Buffer.alloc(16) }
  assert.throws(() => merge([version], [forged], 'siblings'), AnnealError)
})

test('the copy that has the value is the one that is kept', () => {
  const version = versions.find(({ value }) => value !== null)
  assert.ok(version !== undefined)
  const without = { ...version, value: null }
  assert.equal(merge([without], [version], 'siblings')[0]?.value, version.value)
  assert.equal(merge([version], [without], 'siblings')[0]?.value, version.value)
})
