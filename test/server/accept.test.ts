import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prefers } from '../../server/http/accept.ts'

const cases: readonly (readonly [accept: string | undefined, isPreferred: boolean])[] = [
  [undefined, false],
  ['', false],
  ['*/*', false],
  ['text/html, */*;q=0.1', false],
  ['application/json', false],
  ['multipart/mixed', true],
  ['Multipart/Mixed; boundary=x', true],
  ['multipart/*', true],
  ['multipart/mixed, application/json', true],
  ['multipart/mixed, */*', true],
  ['text/plain, multipart/mixed;q=0.2', true],
  ['multipart/mixed;q=0.2, application/json;q=0.1', true],
  ['multipart/mixed;q=0', false],
  ['multipart/mixed;q=0, application/json', false],
  ['multipart/mixed; q=0.000, multipart/*', false],
  ['application/json, multipart/mixed;q=0.9', false],
  ['multipart/mixed;q=0.9, application/*', false],
  ['multipart/mixed;q=0.5, */*', false],
  ['application/multipart/mixed', false]
]

test('a type is preferred where it is named and liked no less than the usual one', () => {
  for (const [accept, isPreferred] of cases) {
    assert.equal(prefers(accept, 'multipart/mixed', 'application/json'), isPreferred, accept)
  }
})
