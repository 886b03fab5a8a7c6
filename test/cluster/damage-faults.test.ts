import assert from 'node:assert/strict'
import { open, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { Level } from 'level'
import { SeededRandom } from '../sim/seeded-random.ts'
import { ClusterProcess } from './cluster-process.ts'
import { call, contextOf, describe, get, problemOf, put } from './kv-client.ts'
import { treesOf } from './repair-calls.ts'
import type { Ending, ServerProcess } from './server-process.ts'

// Small tables, so that there are some to damage beside the log.
const settings = ['storage.writeBufferBytes=64KiB', 'readRepair.probability=1']
const flipsPerFile = 12
/** Exchanges that come too early for one of the two are tried again after a while. */
const healSeconds = 30

let cluster: ClusterProcess
let victim: ServerProcess

before(async () => {
  cluster = await ClusterProcess.start({ set: settings })
  victim = cluster.node(1)
})

after(() => cluster?.stop())

beforeEach(async () => {
  if (!victim.isRunning) victim.spawn()
  await cluster.settled()
})

const values: Record<string, Buffer> = {
  'a value within its row': Buffer.from('a value that is not to be changed'),
  'a value in a row of its own': Buffer.alloc(20_000, 'large ')
}

/** Changes one byte of the value where it is stored, and nothing else. Answers with how many rows held it. */
async function flipIn(value: Buffer): Promise<number> {
  const level = new Level<Buffer, Buffer>(join(victim.settings.data, 'db'), {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer'
  })
  let flipped = 0
  try {
    for await (const [key, row] of level.iterator()) {
      const at = row.indexOf(value)
      if (at < 0) continue
      const damaged = Buffer.from(row)
      damaged[at + 5] = (damaged[at + 5] ?? 0) ^ 1
      await level.put(key, damaged)
      flipped++
    }
  } finally {
    await level.close()
  }
  return flipped
}

async function damagedRows(): Promise<number> {
  const { body } = await call(victim.url, '/metrics')
  return Number(/^anneal_storage_damaged_rows_total (\d+)/m.exec(body.toString())?.[1])
}

async function localState(path: string): Promise<string> {
  const { body } = await call(victim.url, `/admin/keys/${path}?local=true`)
  const inspected = JSON.parse(body.toString()) as { replicas: { state: string }[] }
  return inspected.replicas.map(({ state }) => state).join()
}

for (const [what, value] of Object.entries(values)) {
  test(`${what} with a flipped bit is never served, and healed by a read`, async () => {
    const path = `damage/${value.length}`
    const written = await put(victim.url, `/kv/${path}?w=all`, value)
    assert.equal(written.status, 204, describe(written))
    await victim.end('SIGTERM')
    assert.equal(await flipIn(value), 1)
    const from = victim.log.length
    await victim.start()
    await cluster.settled()
    for (const node of [...cluster.nodes].reverse()) {
      const read = await get(node.url, `/kv/${path}`)
      assert.ok(read.status === 200 && read.body.equals(value), `${node.id}: ${describe(read)}`)
    }
    const line = await victim.logged(/damaged/, from)
    assert.equal(line['level'], 'error')
    assert.equal(line['key'], String(value.length), JSON.stringify(line))
    assert.ok((await damagedRows()) > 0)
    await victim.until('was healed', async () => {
      const alone = await get(victim.url, `/kv/${path}?r=1`)
      return alone.status === 200 && (await localState(path)) === 'ok'
    })
    const found = await damagedRows()
    const healed = await get(victim.url, `/kv/${path}?r=1`)
    assert.ok(healed.body.equals(value))
    assert.equal(await damagedRows(), found, 'a healed row was found damaged once more')
  })
}

test('whatever bits of its files flip, a node serves no wrong value, and heals, or stops and says what to do', async (t) => {
  const random = new SeededRandom(process.env['ANNEAL_TEST_SEED'] ?? '4')
  const keys = Array.from({ length: 300 }, (_, i) => `/kv/flips/${i}`)
  const textOf = (key: string) => `${key} `.repeat(20)
  await Promise.all(keys.map((key) => put(victim.url, `${key}?w=all`, textOf(key))))
  await victim.end('SIGTERM')
  const database = join(victim.settings.data, 'db')
  const files = (await readdir(database)).filter((name) => /\.(ldb|log)$/.test(name))
  assert.ok(
    files.some((name) => name.endsWith('.ldb')) && files.some((name) => name.endsWith('.log'))
  )
  for (const file of files) await flipBits(join(database, file), random)
  const from = victim.log.length
  victim.spawn()
  const isUp = (await endingOf(victim)) === null
  for (const key of isUp ? keys : []) {
    const read = await get(victim.url, key)
    const isRight = read.status === 200 && read.body.toString() === textOf(key)
    // While the database is salvaged nobody listens there.
    const isAway = read.status === 0 || problemOf(read)['code'] === 'not_ready'
    assert.ok(isRight || isAway, `${key}: ${describe(read)}`)
    // The tables are merged as more is written, which may be when the damage is met.
    if (isRight) await put(victim.url, key, textOf(key), contextOf(read))
  }
  const ending = await endingOf(victim)
  const said = victim.log.slice(from).map(({ msg, ...rest }) => msg + JSON.stringify(rest))
  t.diagnostic(
    `${files.length} damaged files; the node is ${ending === null ? 'running' : 'gone'}, ${said.filter((line) => /the database was salvaged/.test(line)).length} salvages`
  )
  let last = ending
  // While it merges tables LevelDB may end the process, before anybody knows of the damage; the third is prepared.
  for (let i = 0; i < 2 && last === 'SIGABRT'; i++) {
    victim.spawn()
    last = await endingOf(victim)
  }
  if (last !== null) {
    assert.equal(last, 1, victim.lastLines())
    assert.match(victim.lastLines(), /move the (data )?directory away/i)
    await rename(database, `${database}.damaged`)
    await victim.start()
  }
  await cluster.settled()
  for (const key of keys) {
    const read = await get(victim.url, key)
    assert.ok(read.status === 200 && read.body.toString() === textOf(key), describe(read))
  }
})

test('a node that meets blocks that cannot be read salvages its database, and heals', async () => {
  const keys = Array.from({ length: 600 }, (_, i) => `/kv/blocks/${i}`)
  const textOf = (key: string) => `${key} `.repeat(30)
  await Promise.all(keys.map((key) => put(victim.url, `${key}?w=all`, textOf(key))))
  await victim.end('SIGTERM')
  const database = join(victim.settings.data, 'db')
  for (const name of await readdir(database)) {
    const path = join(database, name)
    const { size } = await stat(path)
    if (!name.endsWith('.ldb') || size < 8192) continue
    const file = await open(path, 'r+')
    await file.write(Buffer.alloc(1000, 0xff), 0, 1000, Math.floor(size * 0.3))
    await file.close()
  }
  const from = victim.log.length
  await victim.start()
  const { pid } = victim
  // Merging tables is what cannot go on.
  let isMet = false
  const met = victim.logged(/the database was salvaged/, from).then(() => {
    isMet = true
  })
  for (let i = 0; !isMet && i < 20_000; i++) {
    await put(cluster.node(2).url, keys[i % keys.length] ?? '', textOf(keys[i % keys.length] ?? ''))
  }
  await met
  await victim.waitReady()
  await cluster.settled()
  await victim.until(
    'is equal to the others',
    async () => {
      const all = await Promise.all(cluster.nodes.map((node) => treesOf(node)))
      const roots = all.map((trees) => trees.map(({ root }) => root).join())
      return roots.every((each) => each === roots[0])
    },
    healSeconds
  )
  assert.equal(victim.pid, pid, 'it is the same process')
  assert.match((await call(victim.url, '/metrics')).body.toString(), /storage_salvages_total 1\n/)
})

/** How the process ended instead of becoming ready; null once it is. */
function endingOf(node: ServerProcess): Promise<Ending | null> {
  return node.waitReady().then(
    () => null,
    () => node.ended
  )
}

async function flipBits(path: string, random: SeededRandom): Promise<void> {
  const { size } = await stat(path)
  const file = await open(path, 'r+')
  try {
    const byte = Buffer.alloc(1)
    for (let i = 0; i < flipsPerFile; i++) {
      const at = random.int(size)
      await file.read(byte, 0, 1, at)
      byte[0] = (byte[0] ?? 0) ^ (1 << random.int(8))
      await file.write(byte, 0, 1, at)
    }
  } finally {
    await file.close()
  }
}
