import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { examine, fuzz } from './fuzz-run.ts'
import { regressions } from './regressions.ts'
import { targetOf, targets } from './targets.ts'

// Always the same inputs, so that the suite fails for everybody or for nobody; `npm run fuzz` tries new ones.
const seed = '20261121'
const inputsPerTarget = 1500
const untimed = { timeMsMax: null }

describe('spoilt inputs break no rule of', () => {
  for (const name of Object.keys(targets)) {
    test(name, () => {
      const target = targetOf(name, seed)
      assert.ok(target !== null)
      for (const input of target.corpus) {
        assert.equal(examine(target, input, untimed), 'accepted', input.toString('hex'))
      }
      const { tally, finding } = fuzz(target, { seed, from: 0, to: inputsPerTarget }, untimed)
      const found = `${finding?.rule}\ninput ${finding?.index}: ${finding?.input.toString('hex')}`
      assert.equal(finding, null, found)
      assert.ok(tally.refused > 0 && tally.accepted > 0, 'some are accepted, and some refused')
    })
  }
})

describe('an input that once broke a rule', () => {
  for (const { name, target: targetName, input, verdict } of regressions) {
    test(`${targetName}: ${name}`, () => {
      const target = targetOf(targetName, seed)
      assert.ok(target !== null)
      assert.deepEqual(examine(target, input, untimed), verdict)
    })
  }
})
