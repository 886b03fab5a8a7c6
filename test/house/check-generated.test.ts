import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, before, test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const copy = mkdtempSync(join(tmpdir(), 'anneal-schema-'))
const schema = 'proto/anneal/peer/v1/sample.proto'
const generated = 'proto/gen/anneal/peer/v1/sample_pb.ts'

// The tools find each other on the path, as they do in a script that npm runs.
const path = [join(root, 'node_modules/.bin'), dirname(process.execPath), process.env['PATH']]
const env = { ...process.env, PATH: path.join(delimiter) }

function check(): { readonly status: number | null; readonly stderr: string } {
  const script = join(copy, 'test/house/check-generated.ts')
  return spawnSync(process.execPath, [script], { cwd: copy, env, encoding: 'utf8' })
}

before(() => {
  for (const file of [
    'buf.yaml',
    'buf.gen.yaml',
    'package.json',
    'test/house/check-generated.ts'
  ]) {
    cpSync(join(root, file), join(copy, file))
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  mkdirSync(dirname(join(copy, schema)), { recursive: true })
  const text =
    'syntax = "proto3";\npackage anneal.peer.v1;\nmessage Sample {\n  uint64 id = 1;\n}\n'
  writeFileSync(join(copy, schema), text)
  const buf = spawnSync('buf', ['generate'], { cwd: copy, env, encoding: 'utf8' })
  assert.equal(buf.status, 0, buf.stderr)
})

after(() => rmSync(copy, { recursive: true, force: true }))

test('code that was just generated is not stale', () => {
  assert.equal(check().status, 0)
})

test('a schema that changed makes the code stale, and the message says what to run', () => {
  appendFileSync(join(copy, schema), 'message Later {}\n')
  const { status, stderr } = check()
  assert.equal(status, 1)
  assert.match(stderr, /sample_pb\.ts differs from its schema/)
  assert.match(stderr, /npm run generate/)
})

test('generated code without a schema is reported', () => {
  cpSync(join(copy, generated), join(copy, 'proto/gen/left_pb.ts'))
  assert.match(check().stderr, /left_pb\.ts has no schema any more/)
})

test('a schema that does not compile is reported with the words of the compiler', () => {
  writeFileSync(join(copy, schema), 'syntax = "proto3";\npackage anneal.peer.v1;\nmessage {\n')
  const { status, stderr } = check()
  assert.equal(status, 1)
  assert.match(stderr, /buf generate failed:\n.*sample\.proto/)
})
