import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nearestName } from '../../server/config/nearest-name.ts'

const known = ['alpha.retries', 'beta.timeoutMs', 'gamma.sloppy']

test('one slip of the finger still finds the name', () => {
  const slips = fc.record({
    name: fc.constantFrom(...known),
    at: fc.nat({ max: 8 }),
    kind: fc.constantFrom('insert', 'delete', 'replace', 'swap')
  })
  fc.assert(
    fc.property(slips, ({ name, at, kind }) => {
      const [before, here = '', next = ''] = [name.slice(0, at), name[at], name[at + 1]]
      const after = name.slice(at + 2)
      const slipped = {
        insert: `${before}q${here}${next}${after}`,
        delete: `${before}${next}${after}`,
        replace: `${before}q${next}${after}`,
        swap: `${before}${next}${here}${after}`
      }[kind]
      assert.equal(nearestName(slipped, known), name)
    })
  )
})

test('swapping two neighbours is one slip, not two', () => {
  assert.equal(nearestName('ba', ['ab']), null)
  assert.equal(nearestName('acb', ['abc']), 'abc')
})

test('what resembles nothing gets no suggestion', () => {
  assert.equal(nearestName('entirely.different', known), null)
  assert.equal(nearestName('', known), null)
})

test('the right name in the wrong group is found', () => {
  assert.equal(nearestName('somewhereElse.sloppy', known), 'gamma.sloppy')
})
