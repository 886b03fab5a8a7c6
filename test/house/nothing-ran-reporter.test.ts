import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

const directory = mkdtempSync(join(tmpdir(), 'anneal-reporter-'))
after(() => rmSync(directory, { recursive: true, force: true }))

function runTests(pattern: string): { readonly status: number | null; readonly stderr: string } {
  const reporter = join(import.meta.dirname, 'nothing-ran-reporter.ts')
  // A runner that finds itself inside another one changes its way of reporting.
  const { NODE_TEST_CONTEXT: _outer, ...env } = process.env
  const flags = [`--test-reporter=${reporter}`, '--test-reporter-destination=stderr']
  return spawnSync(process.execPath, ['--test', ...flags, pattern], { env, encoding: 'utf8' })
}

test('a run that matches no file fails and says so', () => {
  const { status, stderr } = runTests(join(directory, 'nowhere/*.test.ts'))
  assert.equal(status, 1)
  assert.match(stderr, /No test ran/)
})

test('a run in which everything was skipped fails as well', () => {
  const path = join(directory, 'skipped.test.mjs')
  writeFileSync(path, "import { test } from 'node:test'\ntest('later', { skip: true }, () => {})\n")
  assert.equal(runTests(path).status, 1)
})

test('a run with a test is left alone', () => {
  const path = join(directory, 'one.test.mjs')
  writeFileSync(path, "import { test } from 'node:test'\ntest('one', () => {})\n")
  const { status, stderr } = runTests(path)
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
})
