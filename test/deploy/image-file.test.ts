import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { imageEnvironment, instructions } from './image-file.ts'
import { readOnlyYaml } from './yaml-document.ts'

const root = join(import.meta.dirname, '../..')
const ignoreLines = readFileSync(join(root, '.dockerignore'), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
const included = ignoreLines.filter((line) => line.startsWith('!')).map((line) => line.slice(1))

test('everything that is compiled gets into the image, and what is not named stays outside', () => {
  const compiled = readOnlyYaml('tsconfig.build.json').at('include').texts
  assert.equal(ignoreLines[0], '*')
  assert.deepEqual(
    compiled.filter((folder) => !included.includes(folder)),
    []
  )
  const outside = ['deploy', 'docker-compose.yml', 'node_modules', 'test', 'docs', '.git', '.env']
  assert.deepEqual(
    outside.filter((name) => included.includes(name)),
    []
  )
})

test('the image runs the program itself, as a user by number, on a volume of its own', () => {
  assert.deepEqual(instructions('ENTRYPOINT'), ['["node", "bin/anneal.js"]'])
  assert.deepEqual(instructions('CMD'), ['["start"]'])
  assert.match(instructions('USER').at(-1) ?? '', /^[1-9]\d*:[1-9]\d*$/)
  assert.deepEqual(instructions('VOLUME'), [imageEnvironment['ANNEAL_DATA']])
})

test('every stage is built from one base, of the line of Node.js that the project pins', () => {
  const pinned = readOnlyYaml('package.json').at('devDependencies', 'node').text
  const [base] = instructions('ARG')
  assert.match(base ?? '', new RegExp(`^BASE=node:${pinned.split('.')[0]}-`))
  assert.ok(instructions('FROM').every((from) => from.startsWith('$' + '{BASE}')))
})

test('packages come from the lock file, and none of their scripts is run', () => {
  const installs = instructions('RUN').filter(
    (line) => line.includes('npm ') && line.includes('ci')
  )
  assert.equal(installs.length, 2)
  for (const line of installs) assert.match(line, /^npm ci .*--ignore-scripts/)
})
