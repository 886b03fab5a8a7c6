import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mutatedFiles } from './mutant.ts'
import { huntMutant } from './mutant-hunt.ts'
import { mutants } from './mutant-list.ts'

/** One for each kind of check, all of which are noticed within the first few lives. */
const noticedSoon = [
  'acknowledged-before-written',
  'arrival-overwrites',
  'epoch-unseen',
  'cancelled-session-goes-on'
]
const livesMax = 40

describe('mutants', () => {
  test('fit the program, and have names of their own', () => {
    for (const mutant of mutants) {
      for (const [file, text] of mutatedFiles(mutant)) assert.ok(text.length > 0, file)
    }
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length)
  })

  test('a text that is not there is an error, as is one that is there twice', () => {
    const mutant = (find: string) => ({
      name: 'none',
      rule: 'None.',
      edits: [{ file: 'storage/minter.ts', find, replace: '' }]
    })
    assert.throws(() => mutatedFiles(mutant('no such text')), /found 0 times/)
    assert.throws(() => mutatedFiles(mutant('return')), /found \d+ times/)
  })
})

describe('the lives, or the test that it names, notice', () => {
  for (const name of noticedSoon) {
    test(name, async () => {
      const mutant = mutants.find((candidate) => candidate.name === name)
      assert.ok(mutant)
      const { lives, test: noticing } = await huntMutant(mutant, { livesMax })
      assert.notEqual(lives ?? noticing, null, `${livesMax} lives went by: ${mutant.rule}`)
    })
  }
})
