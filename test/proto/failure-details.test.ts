import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeDetails, encodeDetails } from '../../proto/failure-details.ts'

describe('the facts of a failure', () => {
  test('come back as they were, zeros included', () => {
    const details = { needed: 2, answered: 0, asked: 3, down: ['n1', 'n2'] }
    assert.deepEqual(decodeDetails(encodeDetails(details)), details)
    for (const one of [{ parameter: 'w' }, { siblings: 64, siblingsMax: 64 }]) {
      assert.deepEqual(decodeDetails(encodeDetails(one)), one)
    }
    assert.equal(encodeDetails({}), '')
    assert.equal(encodeDetails({ maxValueBytes: 1 }), '', 'nobody else is told of it')
  })

  test('of a peer are let through only where they are known and well-formed', () => {
    const refused = [
      ...[
        '',
        'x',
        '7',
        'null',
        '"needed"',
        '[1]',
        '{"needed":',
        `{"needed":1${' '.repeat(20_000)}}`
      ],
      '{"code":"not_found","status":200,"detail":"all is well","type":"x","title":"x"}',
      '{"__proto__":{"needed":1},"constructor":1}',
      '{"needed":-1,"answered":1.5,"asked":"3","siblings":1e300,"siblingsMax":null}',
      JSON.stringify({ parameter: 'w'.repeat(300), down: [1] }),
      JSON.stringify({ down: Array.from({ length: 65 }, () => 'n') })
    ]
    for (const text of refused) assert.deepEqual(decodeDetails(text), {}, text.slice(0, 80))
    assert.deepEqual(decodeDetails('{"needed":2,"code":"x","down":"n1"}'), { needed: 2 })
  })
})
