import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { provingLife } from './proving-life.ts'
import { brokenProvingKinds, soundProvingKinds, wentWrong } from './proving-lives.ts'

const livesOfEachKind = 15

describe('nothing that is proven goes wrong in any life', () => {
  for (const kind of soundProvingKinds) {
    test(kind.name, async () => {
      let collected = 0
      for (let seed = 1; seed <= livesOfEachKind; seed++) {
        const outcome = await provingLife(seed, kind)
        assert.equal(wentWrong(outcome), false, `seed ${seed}: ${JSON.stringify(outcome)}`)
        collected += outcome.collected
      }
      assert.ok(collected > 0, 'nothing was ever collected')
    })
  }
})

describe('a life notices what is done', () => {
  for (const { noticedBy, rules: broken, ...sound } of brokenProvingKinds) {
    if (noticedBy === null || broken === undefined) continue
    test(sound.name, async () => {
      const seed = `seed ${noticedBy}`
      assert.equal(wentWrong(await provingLife(noticedBy, { ...sound, rules: broken })), true, seed)
      assert.equal(wentWrong(await provingLife(noticedBy, sound)), false, `${seed}, all rules kept`)
    })
  }
})

test('the same seed gives the same life', async () => {
  const options = { faults: { crash: true, oldDisk: true } }
  assert.deepEqual(await provingLife(5, options), await provingLife(5, options))
})
