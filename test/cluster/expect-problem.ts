import assert from 'node:assert/strict'
import { describe, jsonOf, type Received } from './http-request.ts'

/** What no sentence for people may have: the inside of the program, or of the pattern that refused. */
const insides =
  /\^\(|\$"|pattern|additional propert|equal to constant|FST_|AnnealError|undefined|NaN/

/** Checks that this is an error of the one form, with this code, and with a sentence; answers with its fields. */
export function expectProblem(
  received: Received,
  status: number,
  code: string
): Readonly<Record<string, unknown>> {
  const seen = describe(received)
  assert.equal(received.status, status, seen)
  assert.match(received.headers['content-type'] ?? '', /^application\/problem\+json/, seen)
  const problem = jsonOf(received)
  assert.equal(problem['code'], code, seen)
  assert.equal(problem['status'], status, seen)
  assert.ok(typeof problem['title'] === 'string' && problem['title'] !== '', seen)
  const detail = String(problem['detail'])
  assert.ok(detail.length > 15 && detail.length < 600, seen)
  assert.doesNotMatch(detail, insides, seen)
  return problem
}
