import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { life } from './life.ts'
import { brokenKinds, isBad, lives, soundKinds } from './lives.ts'

const livesOfEachKind = 40
const livesUntilNoticed = 400

describe('nothing goes wrong in any life', () => {
  for (const kind of soundKinds) {
    test(kind.name, async () => {
      const { tally, badSeeds } = await lives(kind, 1, livesOfEachKind)
      assert.deepEqual(badSeeds, [], `these seeds went wrong: ${JSON.stringify(tally)}`)
      assert.ok(tally.writes > livesOfEachKind * 10, 'too few writes to mean anything')
      assert.ok(tally.acknowledged > tally.writes / 2, 'too few acknowledged writes')
    })
  }
})

describe('a life notices', () => {
  for (const kind of brokenKinds) {
    test(kind.name, async () => {
      for (let seed = 1; seed <= livesUntilNoticed; seed++) {
        if (isBad(await life(seed, kind))) return
      }
      assert.fail(`${livesUntilNoticed} lives went by and nothing was noticed`)
    })
  }
})

test('the same seed gives the same life', async () => {
  for (const kind of brokenKinds) {
    assert.deepEqual(await life(7, kind), await life(7, kind), kind.name)
  }
})
