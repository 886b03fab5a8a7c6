import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { freePorts } from './cluster-process.ts'
import { describe, get, put } from './kv-client.ts'
import { type Ending, ServerProcess } from './server-process.ts'

/** One node that runs, one data directory of a node that was stopped, and starts that must fail beside them. */
const keys = Array.from({ length: 20 }, (_, i) => `/kv/start/${i}`)
let directory = ''
let running: ServerProcess
let stopped: ServerProcess
let ports: string[] = []

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anneal-start-'))
  ports = (await freePorts(6)).map((port) => `127.0.0.1:${port}`)
  running = new ServerProcess({
    ...settings('running'),
    http: ports[0] ?? '',
    peer: ports[1] ?? ''
  })
  stopped = new ServerProcess({ ...settings('stopped'), set: ['replication.n=1'] })
  await Promise.all([running.start(), stopped.start()])
  for (const key of keys) assert.equal((await put(stopped.url, key, key)).status, 204)
  assert.equal(await stopped.end('SIGTERM'), 0)
})

after(async () => {
  await running?.end('SIGKILL')
  await stopped?.end('SIGKILL')
  await rm(directory, { recursive: true, force: true })
})

function settings(id: string) {
  const [, , http = '', peer = ''] = ports
  return { id, data: join(directory, id), http, peer, seeds: [] }
}

/** Starts a node and waits for it to give up; answers with the one line that it says. */
async function refusal(
  other: Partial<ServerProcess['settings']>
): Promise<{ ending: Ending; said: string }> {
  const node = new ServerProcess({ ...settings('refused'), ...other })
  node.spawn()
  const impatience = setTimeout(() => node.signal('SIGKILL'), 10_000)
  const ending = await node.ended
  clearTimeout(impatience)
  const lines = node.log.filter(({ level }) => level === undefined).map(({ msg }) => msg)
  assert.equal(lines.length, 1, `one line was to be said:\n${node.lastLines()}`)
  return { ending, said: lines[0] ?? '' }
}

async function assertRefused(
  other: Partial<ServerProcess['settings']>,
  ...patterns: readonly (RegExp | string)[]
): Promise<void> {
  const { ending, said } = await refusal(other)
  assert.equal(ending, 1, said)
  for (const pattern of patterns) {
    assert.ok(
      typeof pattern === 'string' ? said.includes(pattern) : pattern.test(said),
      `"${said}" was to say ${pattern}`
    )
  }
}

test('a taken HTTP address is named', () =>
  assertRefused({ http: running.settings.http }, /HTTP/, running.settings.http, /in use/))

test('a taken peer address is named', () =>
  assertRefused({ peer: running.settings.peer }, /peers/, running.settings.peer, /in use/))

test('an address of another machine is named', () =>
  assertRefused(
    { http: '192.0.2.1:80', set: ['cluster.insecure=true'] },
    '192.0.2.1:80',
    /not available|not an address/
  ))

test('a data directory that a running node has open is refused', () => {
  const { data } = running.settings
  return assertRefused({ id: 'running', data }, data, /another process/i)
})

test('a data directory belongs to one node, one cluster, one number of partitions', async () => {
  const { data } = stopped.settings
  await assertRefused({ data }, data, /node\.id/, /stopped/, /refused/)
  const id = 'stopped'
  await assertRefused({ id, data, set: ['cluster.name=b'] }, data, /cluster\.name/, /anneal/, /"b"/)
  await assertRefused(
    { id, data, set: ['cluster.partitions=64'] },
    data,
    /cluster\.partitions/,
    /64/,
    /256/
  )
})

test('a data directory that cannot be written is refused', async () => {
  const data = join(directory, 'a-file')
  await writeFile(data, 'in the way')
  await assertRefused({ data }, data, /not a directory/i, /writable/)
})

const damages: Record<string, (database: string, manifest: string) => Promise<void>> = {
  'a truncated MANIFEST': (_, manifest) => truncate(manifest, 20),
  'a MANIFEST of garbage': (_, manifest) => writeFile(manifest, Buffer.alloc(300, 'garbage')),
  'a MANIFEST that is gone': (_, manifest) => rm(manifest),
  'an empty CURRENT': (database) => truncate(join(database, 'CURRENT'), 0),
  'a CURRENT of garbage': (database) => writeFile(join(database, 'CURRENT'), 'garbage\n'),
  'a CURRENT that is gone': (database) => rm(join(database, 'CURRENT'))
}

for (const [what, damage] of Object.entries(damages)) {
  test(`with ${what} the node starts with all that it had written`, async () => {
    const data = join(directory, what.replaceAll(' ', '-'))
    await cp(stopped.settings.data, data, { recursive: true })
    const database = join(data, 'db')
    const files = await readdir(database)
    const manifest = files.find((name) => name.startsWith('MANIFEST'))
    assert.ok(manifest !== undefined)
    await damage(database, join(database, manifest))
    const node = new ServerProcess({ ...stopped.settings, data })
    await node.start()
    assert.equal((await node.logged(/files of the database are damaged/)).level, 'error')
    assert.equal((await node.logged(/the database was salvaged/)).level, 'warn')
    for (const key of keys) {
      const read = await get(node.url, key)
      assert.ok(read.status === 200 && read.body.toString() === key, describe(read))
    }
    assert.equal(await node.end('SIGTERM'), 0)
    const from = node.log.length
    await node.start()
    const said = node.log.slice(from).filter(({ msg }) => /the database was salvaged/.test(msg))
    assert.deepEqual(said, [], 'what was salvaged stays so')
    assert.equal(await node.end('SIGTERM'), 0)
  })
}

test('with a damaged database of which nothing is left the start says what to do, and does it once that is moved away', async () => {
  const data = join(directory, 'nothing-left')
  const database = join(data, 'db')
  await cp(stopped.settings.data, data, { recursive: true })
  for (const name of await readdir(database)) {
    if (/\.(ldb|log)$/.test(name)) await rm(join(database, name))
  }
  await writeFile(join(database, 'CURRENT'), 'garbage\n')
  await assertRefused({ id: 'stopped', data }, data, /move the directory away/i, /replicas/)
  await rename(database, `${database}.damaged`)
  const node = new ServerProcess({ ...stopped.settings, data })
  await node.start()
  assert.equal((await get(node.url, keys[0] ?? '')).status, 404)
  assert.equal(await node.end('SIGTERM'), 0)
})

test('a process that ended without a word while the database was opened is told of by the next one', async () => {
  const [, , , , http = '', peer = ''] = ports
  const node = new ServerProcess({ ...settings('abrupt'), http, peer })
  const saysWhatToDo = () =>
    node.log.filter(({ level, msg }) => level === 'warn' && /move the directory away/.test(msg))
  await node.start()
  assert.deepEqual(saysWhatToDo(), [], 'a first start')
  await node.end('SIGKILL')
  await node.start()
  assert.equal(saysWhatToDo().length, 1)
  assert.equal(await node.end('SIGTERM'), 0)
  await node.start()
  assert.equal(saysWhatToDo().length, 1, 'after a clean stop there is nothing to say')
  assert.equal(await node.end('SIGTERM'), 0)
})

test('the threads that collect garbage give way to those that serve', {
  skip: process.platform === 'linux' ? false : 'NOT TESTED: only Linux has priorities for threads'
}, async () => {
  const threads = `/proc/${running.pid}/task`
  const nicenesses = new Map<string, Set<number>>()
  for (const thread of await readdir(threads)) {
    const stat = await readFile(join(threads, thread, 'stat'), 'utf8')
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    nicenesses.set(name, (nicenesses.get(name) ?? new Set()).add(Number(fields[16])))
  }
  const own = new Set([getPriority()])
  assert.deepEqual(nicenesses.get('V8Worker'), new Set([Math.min(getPriority() + 10, 19)]))
  nicenesses.delete('V8Worker')
  for (const [name, niceness] of nicenesses) assert.deepEqual(niceness, own, name)
})
