import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { codeBlocks, commandsOf } from './code-blocks.ts'
import { failing, notRun } from './exceptions.ts'

const root = join(import.meta.dirname, '../..')

test('what is typed is told from what is shown, with the line that it stands in', () => {
  const page =
    'Text\n```sh\n# first\na | b\n\nc   # why\n```\n```console\n$ d\noutput\n$ e\n```\n```yaml\nx: 1\n```\n'
  assert.deepEqual(codeBlocks(page).flatMap(commandsOf), [
    { line: 4, text: 'a | b' },
    { line: 6, text: 'c   # why' },
    { line: 9, text: 'd' },
    { line: 11, text: 'e' }
  ])
  assert.throws(() => codeBlocks('```sh\na\n'), /no end/)
})

test('every exception is about a command that is still there', () => {
  for (const { page, command } of [...notRun, ...failing]) {
    const commands = codeBlocks(readFileSync(join(root, page), 'utf8')).flatMap(commandsOf)
    const isThere = commands.some(({ text }) => text.startsWith(command))
    assert.ok(isThere, `${page} has no command that begins with ${command}`)
  }
})
