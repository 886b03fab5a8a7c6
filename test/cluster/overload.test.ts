import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { call, describe, get, type KvAnswer, problemOf, put, valuesOf } from './kv-client.ts'
import { residentMib } from './process-memory.ts'

// A node at rest, and each body that the three nodes may hold at one time in seven buffers: as it came, as a row and its
// batch, as an object and the request that all others share, and on its way to each of the others as a message.
const residentMibMax = 200 + 3 * 32 * 7
const connections = 4000
const overloadMs = 3000
const mebi = 1024 * 1024

let cluster: ClusterProcess

before(async () => {
  cluster = await ClusterProcess.start()
})

after(() => cluster?.stop())

async function assertMemoryBounded(): Promise<void> {
  for (const { id, pid } of cluster.nodes) {
    const { peak } = await residentMib(pid)
    assert.ok(peak < residentMibMax, `${id} took up to ${Math.round(peak)} MiB`)
  }
}

async function assertRecovered(): Promise<void> {
  for (const { id, url } of cluster.nodes) {
    const path = `/kv/recovered/${randomBytes(6).toString('hex')}`
    const written = await put(url, path, id)
    assert.equal(written.status, 204, describe(written))
    const read = await get(url, path)
    assert.deepEqual(valuesOf(read), [id])
    assert.ok(written.ms + read.ms < 1000, `${id} took ${written.ms} and ${read.ms} ms`)
  }
}

/** A refusal that helps: it says that it is for now, and when to try again. */
function assertIsOverloaded(answer: KvAnswer): void {
  assert.equal(answer.status, 503, describe(answer))
  assert.equal(problemOf(answer)['code'], 'overloaded', describe(answer))
  assert.equal(answer.headers['retry-after'], '1')
}

test('thousands of clients at once are served or told to come again', async (t) => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const deadline = performance.now() + overloadMs
  const counts = new Map<number, number>()
  const others: KvAnswer[] = []
  // One process of clients may be slower than a node. Its peers stand still until it has more in progress than it takes.
  const peers = [cluster.node(2), cluster.node(3)]
  const signal = (name: NodeJS.Signals) => {
    for (const peer of peers) peer.signal(name)
  }
  signal('SIGSTOP')
  const hammer = async (client: number) => {
    // Most of them on one node, so that it has more in progress than it takes.
    const { url } = cluster.node(client % 8 < 7 ? 1 : 2)
    for (let i = 0; performance.now() < deadline; i++) {
      const path = `/kv/overload/${client % 500}-${i % 10}`
      const isPut = (client + i) % 2 === 0
      const answer = await call(
        url,
        path,
        isPut ? { method: 'PUT', value: path, agent } : { agent }
      )
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1)
      if ([200, 204, 300, 404].includes(answer.status)) continue
      if (others.length === 0) signal('SIGCONT')
      others.push(answer)
    }
  }
  try {
    await Promise.all(Array.from({ length: connections }, (_, client) => hammer(client)))
  } finally {
    signal('SIGCONT')
  }
  agent.destroy()
  t.diagnostic(`answers by status: ${JSON.stringify(Object.fromEntries(counts))}`)
  for (const answer of others) assertIsOverloaded(answer)
  assert.ok((counts.get(503) ?? 0) > 0, 'nobody was refused, so this was no overload')
  assert.ok((counts.get(204) ?? 0) > 100, 'hardly a write was taken')
  await assertRecovered()
  await assertMemoryBounded()
})

test('two hundred values of 1 MiB at once are stored or refused, and none is damaged', async (t) => {
  const agent = new Agent({ maxSockets: 200 })
  const stored = new Map<string, Buffer>()
  const write = async (i: number) => {
    const value = randomBytes(mebi)
    const path = `/kv/large/${i}?timeout=20000`
    const { url } = cluster.node((i % 3) + 1)
    const answer = await call(url, path, { method: 'PUT', value, agent })
    if (answer.status === 204) stored.set(`/kv/large/${i}`, value)
    else if (answer.status !== 504) assertIsOverloaded(answer)
  }
  await Promise.all(Array.from({ length: 200 }, (_, i) => write(i)))
  t.diagnostic(`${stored.size} of 200 were stored`)
  assert.ok(stored.size >= 30, `only ${stored.size} were stored`)
  let node = 1
  for (const [path, value] of stored) {
    const read = await get(cluster.node((node++ % 3) + 1).url, path)
    assert.ok(read.status === 200 && read.body.equals(value), `${path}: ${read.status}`)
  }
  await assertRecovered()
  await assertMemoryBounded()
})
