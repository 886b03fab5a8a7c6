import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { DecodeError } from '../../core/errors.ts'
import {
  aboutMax,
  decodeAbout,
  decodeHintedDots,
  encodeAbout,
  encodeHintedDots
} from '../../repair/hinted-dots-codec.ts'
import { HintsElsewhere, meetHintedDots } from '../../repair/hints-elsewhere.ts'
import { ended, type HintedDots } from '../../repair/report-table.ts'
import { WritesUnderWay } from '../../repair/writes-under-way.ts'
import { makeActor } from '../../storage/version-vector.ts'
import { lawRuns } from '../core/law-runs.ts'

const incarnations = ['incarn.1', 'incarn.2']
const present = 'incarn.1'
const presentOnly = new Set([present])
const dotOf = (counter: number) => ({ actor: makeActor(present, 1), counter })
const leastAt = (dots: HintedDots, partition: number) => dots.get(partition)?.get(present) ?? null
const hints = (partition: number, counter: number): HintedDots =>
  new Map([[partition, new Map([[present, counter]])]])

const hintedDots: fc.Arbitrary<HintedDots> = fc
  .dictionary(
    fc.integer({ min: 0, max: 5 }).map(String),
    fc.uniqueArray(fc.tuple(fc.constantFrom(...incarnations), fc.integer({ min: 1, max: 9 })), {
      selector: ([name]) => name
    })
  )
  .map((dots) => new Map(Object.entries(dots).map(([p, counters]) => [+p, new Map(counters)])))

describe('writes under way', () => {
  it('have the least counter that has begun and not ended, in whatever order they end', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(300)), { maxLength: 600 })
    fc.assert(
      fc.property(steps, (steps) => {
        const writes = new WritesUnderWay()
        const open: number[] = []
        let counter = 0
        for (const [begins, which] of steps) {
          if (begins) {
            // Counters may be left out: a write that fails at once has none under way.
            counter += 1 + (which % 3)
            open.push(counter)
            writes.begin(present, counter)
          } else if (open.length > 0) {
            const [ending = 0] = open.splice(which % open.length, 1)
            writes.end(present, ending)
            writes.end(present, ending)
          }
          assert.equal(writes.least(present, -1), open.length > 0 ? Math.min(...open) : -1)
          assert.equal(writes.least('incarn.2', -1), -1)
        }
      }),
      lawRuns(200)
    )
  })
})

describe('hints elsewhere', () => {
  it('make a node vouch for less until the write has found its places', () => {
    const elsewhere = new HintsElsewhere()
    for (const counter of [1, 2, 3]) elsewhere.begun(dotOf(counter))
    elsewhere.ended(dotOf(1))
    elsewhere.ended(dotOf(3))
    assert.equal(elsewhere.settledUpTo(present, 3), 1)
    assert.equal(elsewhere.settledUpTo(present, ended), 1)
    elsewhere.ended(dotOf(2))
    assert.equal(elsewhere.settledUpTo(present, 3), 3)
    assert.equal(elsewhere.settledUpTo(present, ended), ended)
  })

  it('count until their holder says that they are gone', () => {
    const elsewhere = new HintsElsewhere()
    elsewhere.kept('b', 7, dotOf(5))
    elsewhere.kept('b', 7, dotOf(4))
    const least = () => leastAt(elsewhere.least(presentOnly, ['b', 'c']), 7)
    assert.equal(least(), 4)
    elsewhere.ask('c', [present])?.(new Map())
    assert.equal(least(), 4, 'somebody else has nothing')
    elsewhere.ask('b', [present])?.(null)
    assert.equal(least(), 4, 'no answer')
    elsewhere.ask('b', ['incarn.2'])?.(new Map())
    assert.equal(least(), 4, 'it was asked about something else')
    elsewhere.ask('b', [present])?.(hints(7, 5))
    assert.equal(least(), 5)
    elsewhere.ask('b', [present])?.(new Map())
    assert.equal(least(), null)
  })

  it('count where they were handed over while the holder was being asked', () => {
    const elsewhere = new HintsElsewhere()
    const answer = elsewhere.ask('b', [present])
    elsewhere.kept('b', 7, dotOf(5))
    assert.equal(elsewhere.ask('b', [present]), null, 'one question at a time')
    answer?.(new Map())
    assert.equal(leastAt(elsewhere.least(presentOnly, ['b']), 7), 5)
  })

  it('of members that have been removed count no more', () => {
    const elsewhere = new HintsElsewhere()
    elsewhere.kept('b', 7, dotOf(5))
    assert.equal(leastAt(elsewhere.least(presentOnly, ['c']), 7), null)
  })

  it('are known of an incarnation once every member has answered about it', () => {
    const elsewhere = new HintsElsewhere()
    elsewhere.ask('b', [present])?.(new Map())
    assert.equal(elsewhere.isKnownOf(present, ['b']), true)
    assert.equal(elsewhere.isKnownOf(present, ['b', 'c']), false)
    elsewhere.ask('c', ['incarn.2'])?.(new Map())
    assert.equal(elsewhere.isKnownOf(present, ['b', 'c']), false)
    elsewhere.ask('c', [present])?.(null)
    assert.equal(elsewhere.isKnownOf(present, ['b', 'c']), false)
    elsewhere.ask('c', [present])?.(hints(1, 1))
    assert.equal(elsewhere.isKnownOf(present, ['b', 'c']), true)
  })

  it('of two sources have the lesser number wherever both have one', () => {
    fc.assert(
      fc.property(hintedDots, hintedDots, (a, b) => {
        const met = meetHintedDots(a, b)
        for (let partition = 0; partition < 6; partition++) {
          for (const incarnation of incarnations) {
            const [x, y, z] = [a, b, met].map((dots) => dots.get(partition)?.get(incarnation))
            assert.equal(z, x === undefined || y === undefined ? (x ?? y) : Math.min(x, y))
          }
        }
      }),
      lawRuns(200)
    )
  })
})

describe('what peers say of their hints', () => {
  it('comes back as it was said, and "nothing" is not "not known yet"', () => {
    fc.assert(
      fc.property(hintedDots, (dots) => {
        assert.deepEqual(decodeHintedDots(encodeHintedDots(dots)), dots)
      }),
      lawRuns(200)
    )
    assert.equal(decodeHintedDots(encodeHintedDots(null)), null)
    assert.deepEqual(decodeHintedDots(encodeHintedDots(new Map())), new Map())
    assert.deepEqual(decodeAbout(encodeAbout(incarnations)), new Set(incarnations))
  })

  it('is refused with a DecodeError where it makes no sense', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        for (const decode of [decodeHintedDots, decodeAbout]) {
          try {
            decode(noise)
          } catch (thrown) {
            assert.ok(thrown instanceof DecodeError)
          }
        }
      }),
      lawRuns(300)
    )
    assert.throws(() => decodeAbout(Buffer.alloc(8 * (aboutMax + 1))), DecodeError)
    assert.throws(() => decodeAbout(Buffer.alloc(7)), DecodeError)
    const twice = Buffer.concat([Buffer.of(1, 3, 2), Buffer.from('incarn.1\u0001incarn.1\u0002')])
    assert.throws(() => decodeHintedDots(twice), DecodeError)
    assert.throws(() => decodeHintedDots(Buffer.of(1, 255, 255, 127, 0)), DecodeError)
    const unminted = encodeHintedDots(hints(3, 0))
    assert.throws(() => decodeHintedDots(unminted), DecodeError, 'below it would be -1')
  })
})
