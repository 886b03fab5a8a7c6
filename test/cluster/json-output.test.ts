import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { runAnneal } from './run-anneal.ts'

/** The fields that a command may print at a place of its document, one set for each line of the reference. */
type Documented = Map<string, string[][]>

const reference = new URL('../../docs/reference/json-output.md', import.meta.url)
const documented = readReference(readFileSync(reference, 'utf8'))
const seen = new Set<string>()
let cluster: ClusterProcess

before(async () => {
  cluster = await ClusterProcess.start({ set: ['cluster.partitions=32'] })
})

after(() => cluster?.stop())

function readReference(text: string): Documented {
  const lines: Documented = new Map()
  for (const [, command, place = '', fields = ''] of text.matchAll(
    /^\| `([a-z -]+)` \| (?:`([a-zA-Z.]+)`)? ?\| ([^|]+) \|/gm
  )) {
    const at = `${command} ${place}`
    const names = [...fields.matchAll(/`(\w+)`/g)].map(([, name = '']) => name).sort()
    lines.set(at, [...(lines.get(at) ?? []), names])
  }
  return lines
}

/** Runs the command and holds every place of what it prints against the reference. */
async function assertAsDocumented(command: string, ...args: readonly string[]): Promise<void> {
  const node = cluster.node(1).url
  const words = command.split(' ')
  const run = await runAnneal([...words, ...args, '--json', '--node', node])
  const document: unknown = JSON.parse(run.stdout.toString())
  const places = [...documented.keys()].filter((at) => at.slice(0, at.lastIndexOf(' ')) === command)
  assert.ok(places.length > 0, `the reference says nothing of ${command}`)
  for (const at of places) {
    const place = at.slice(command.length + 1)
    for (const part of partsAt(document, place === '' ? [] : place.split('.'))) {
      const found = Object.keys(part).sort()
      const sets = documented.get(at) ?? []
      const match = sets.findIndex((names) => JSON.stringify(names) === JSON.stringify(found))
      assert.ok(match >= 0, `${at} has ${found}, and the reference says ${sets.join(' or ')}`)
      seen.add(`${at} ${match}`)
    }
  }
}

function partsAt(value: unknown, path: readonly string[]): object[] {
  if (Array.isArray(value)) return value.flatMap((part) => partsAt(part, path))
  if (typeof value !== 'object' || value === null) return []
  const [first, ...rest] = path
  if (first === undefined) return [value]
  return partsAt(Object.entries(value).find(([name]) => name === first)?.[1], rest)
}

test('every command prints with --json the fields that the reference names', async () => {
  await assertAsDocumented('put', 'shop', 'tea', 'green')
  await assertAsDocumented('get', 'shop', 'tea')
  await assertAsDocumented('get', 'shop', 'nothing')
  await assertAsDocumented('key', 'shop', 'tea')
  await assertAsDocumented('delete', 'shop', 'tea')
  for (const value of ['one', 'two']) {
    const body = { method: 'PUT', body: value }
    assert.equal((await fetch(`${cluster.node(1).url}/kv/shop/siblings`, body)).status, 204)
  }
  await assertAsDocumented('get', 'shop', 'siblings')
  const plain = ['status', 'ring', 'doctor', 'quarantine', 'repair', 'repair --all']
  for (const command of plain) await assertAsDocumented(command)
  for (const command of ['status', 'pause', 'resume']) await assertAsDocumented(`repair ${command}`)
  await cluster.node(3).end('SIGKILL')
  const put = { method: 'PUT', body: 'x' }
  assert.equal((await fetch(`${cluster.node(1).url}/kv/shop/hinted?w=2`, put)).status, 204)
  await assertAsDocumented('hints')
  const unseen = [...documented].flatMap(([at, sets]) =>
    sets.map((_, i) => `${at} ${i}`).filter((line) => !seen.has(line))
  )
  assert.deepEqual(unseen, [], 'lines of the reference that nothing was seen of')
})
