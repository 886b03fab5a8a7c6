import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { SeededRandom } from './seeded-random.ts'

const draw = (random: SeededRandom): number[] => Array.from({ length: 8 }, () => random.uint32())

describe('seeded random', () => {
  test('is the same for the same seed, and else not', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (a, b) => {
        assert.deepEqual(draw(new SeededRandom(a)), draw(new SeededRandom(a)))
        if (a !== b) assert.notDeepEqual(draw(new SeededRandom(a)), draw(new SeededRandom(b)))
      })
    )
  })

  // Seeds are written into bug reports: a generator that changes makes them worthless.
  test('stays what it is', () => {
    assert.deepEqual(
      draw(new SeededRandom(1)).slice(0, 4),
      [3254355304, 4114590001, 1344197155, 548719296]
    )
  })

  test('a fork depends on seed and names, not on what was drawn before', () => {
    const random = new SeededRandom(7)
    const early = draw(random.fork('disk'))
    draw(random)
    assert.deepEqual(draw(random.fork('disk')), early)
    assert.notDeepEqual(draw(random.fork('network')), early)
    assert.notDeepEqual(draw(random.fork('disk').fork('disk')), early)
  })

  test('int and fraction stay in range and use all of it evenly', () => {
    const random = new SeededRandom(11)
    const counts = new Array<number>(10).fill(0)
    for (let i = 0; i < 100_000; i++) {
      const at = random.int(10)
      counts[at] = (counts[at] ?? 0) + 1
      const fraction = random.fraction()
      assert.ok(fraction >= 0 && fraction < 1)
    }
    assert.equal(counts.length, 10)
    for (const count of counts) assert.ok(Math.abs(count - 10_000) < 500, String(counts))
  })

  test('chance, between and pick', () => {
    const random = new SeededRandom(12)
    assert.ok(!Array.from({ length: 1000 }, () => random.chance(0)).includes(true))
    assert.ok(!Array.from({ length: 1000 }, () => random.chance(1)).includes(false))
    for (let i = 0; i < 1000; i++) {
      const between = random.between(-2, 3)
      assert.ok(between >= -2 && between < 3)
    }
    const picked = new Set(Array.from({ length: 1000 }, () => random.pick(['a', 'b', 'c'])))
    assert.deepEqual([...picked].sort(), ['a', 'b', 'c'])
    assert.throws(() => random.pick([]), RangeError)
  })

  test('bytes of any length, every bit of them random', () => {
    const random = new SeededRandom(13)
    for (let length = 0; length < 40; length++) assert.equal(random.bytes(length).length, length)
    const bytes = random.bytes(8000)
    for (let bit = 0; bit < 8; bit++) {
      const ones = bytes.reduce((sum, byte) => sum + ((byte >>> bit) & 1), 0)
      assert.ok(Math.abs(ones - 4000) < 250, `bit ${bit}: ${ones} ones`)
    }
  })
})
