import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { formatByteSize, parseByteSize } from '../../server/config/byte-size.ts'
import { publishedSchema } from '../../server/config/reference.ts'
import { settings } from '../../server/config/settings.ts'
import { referenceFiles } from './write-reference.ts'

test('the generated reference is up to date', async () => {
  for (const [path, content] of await referenceFiles()) {
    const advice = `${path} is stale; run: node test/config/write-reference.ts`
    assert.equal(readFileSync(path, 'utf8'), content, advice)
  }
})

test('the published schema judges files as the program does', () => {
  const schema: unknown = JSON.parse(publishedSchema())
  assert.ok(typeof schema === 'object' && schema !== null)
  const accepted = [{}, { node: { id: 'a' } }, { limits: { maxValueBytes: '2 MiB' } }]
  const refused = [{ nodes: {} }, { node: { id: '' } }, { limits: { maxValueBytes: '2 MB' } }]
  for (const file of accepted) assert.equal(Value.Check(schema, file), true, JSON.stringify(file))
  for (const file of refused) assert.equal(Value.Check(schema, file), false, JSON.stringify(file))
})

test('every default is a value that its setting takes', () => {
  for (const setting of settings) {
    assert.equal(Value.Check(setting.jsonSchema, setting.default), true, setting.path)
  }
})

test('no two settings share a variable', () => {
  const variables = settings.flatMap((setting) => setting.variables)
  assert.equal(new Set(variables).size, variables.length)
})

test('sizes are written and read alike', () => {
  for (const bytes of [0, 1, 1023, 1024, 1536, 16 * 1024 * 1024, 1024 ** 4, 5 * 1024 ** 5]) {
    assert.equal(parseByteSize(formatByteSize(bytes)), bytes)
  }
  for (const text of ['', 'MiB', '1 MB', '1e3 B', '-1 B', '1  MiB', '1mib']) {
    assert.equal(parseByteSize(text), null, text)
  }
})
