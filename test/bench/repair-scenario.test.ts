import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultScenarios, parseScenarios } from '../../server/bench/repair-scenario.ts'

test('a list of scenarios is read in its order', () => {
  assert.deepEqual(parseScenarios('0, 1000+load,empty,empty+load'), [
    { name: '0', stale: 0, underLoad: false },
    { name: '1000+load', stale: 1000, underLoad: true },
    { name: 'empty', stale: 'all', underLoad: false },
    { name: 'empty+load', stale: 'all', underLoad: true }
  ])
  assert.equal(parseScenarios(defaultScenarios).length, 6)
})

for (const wrong of ['', '3,', '-1', '1e3', 'all', '3+', '3+loads', '12345678901']) {
  test(`${JSON.stringify(wrong)} is refused with what is understood`, () => {
    assert.throws(() => parseScenarios(wrong), /a number of keys or `empty`/)
  })
}
