import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { errorStatus } from '../../core/errors.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/reference/errors.md'), 'utf8')
const rows = page.split('\n').filter((line) => line.startsWith('| `'))

test('docs/reference/errors.md describes every error code, in the same order, with its status', () => {
  const documented = rows.map((row) => {
    const [, code = '', status = ''] = row.split('|').map((cell) => cell.trim())
    return [code.replaceAll('`', ''), Number(status)]
  })
  assert.deepEqual(documented, Object.entries(errorStatus))
})

test('every code says what it means and what to do, in whole sentences', () => {
  for (const row of rows) {
    const [, , , meaning = '', remedy = ''] = row.split('|').map((cell) => cell.trim())
    for (const cell of [meaning, remedy]) assert.match(cell, /^\W*\w.{10,}\.\W*$/, row)
  }
})
