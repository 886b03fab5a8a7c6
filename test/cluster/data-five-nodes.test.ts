import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { expectProblem } from './expect-problem.ts'
import { describe, jsonOf, send, valuesOf, withContext } from './http-request.ts'

let cluster: ClusterProcess
let urls: readonly string[]

before(async () => {
  cluster = await ClusterProcess.start({ nodes: 5 })
  urls = cluster.urls
})

after(() => cluster?.stop())

interface KeySeen {
  readonly replicas: readonly { readonly node: string; readonly state: string }[]
}

/** The nodes that keep this key, and the rest, by their addresses. */
async function placesOf(key: string): Promise<{ replicas: string[]; others: string[] }> {
  const [first = ''] = urls
  const seen = jsonOf<KeySeen>(await send(first, 'GET', `/admin/keys/five/${key}`))
  const ids = new Set(seen.replicas.map(({ node }) => node))
  assert.equal(ids.size, 3)
  const isReplica = ({ id }: { id: string }) => ids.has(id)
  const replicas = cluster.nodes.filter(isReplica).map(({ url }) => url)
  const others = cluster.nodes.filter((node) => !isReplica(node)).map(({ url }) => url)
  return { replicas, others }
}

test('the ring spreads 256 partitions evenly over five nodes', async () => {
  const [first = ''] = urls
  const { partitions } = jsonOf<{ partitions: { replicas: string[] }[] }>(
    await send(first, 'GET', '/admin/ring')
  )
  const held = new Map<string, number>()
  for (const { replicas } of partitions) {
    assert.equal(new Set(replicas).size, 3)
    for (const id of replicas) held.set(id, (held.get(id) ?? 0) + 1)
  }
  assert.equal(held.size, 5)
  const fair = (256 * 3) / 5
  for (const [id, count] of held) {
    assert.ok(Math.abs(count - fair) <= fair / 10 + 1, `${id} holds ${count}, fair is ${fair}`)
  }
})

test('any node takes and gives any key, small or large, and says which replica coordinated', async () => {
  for (let i = 0; i < 20; i++) {
    const key = `any-${i}`
    const { others, replicas } = await placesOf(key)
    const [away = '', alsoAway = ''] = others
    const value = randomBytes(i % 5 === 0 ? 200_000 : 100)
    const path = `/kv/five/${key}`
    const headers = { 'Content-Type': 'x/y', 'X-Meta-Way': 'round' }
    const written = await send(away, 'PUT', path, { body: value, headers })
    assert.equal(written.status, 204, describe(written))
    const coordinator = cluster.nodes.find(({ id }) => id === written.headers['x-coordinator'])
    assert.ok(replicas.includes(coordinator?.url ?? ''), describe(written))
    for (const url of [alsoAway, ...replicas]) {
      const read = await send(url, 'GET', path)
      assert.deepEqual(read.body, value, describe(read))
      assert.equal(read.headers['content-type'], 'x/y')
      assert.equal(read.headers['x-meta-way'], 'round')
    }
    const shown = await send(away, 'PUT', `${path}?return=body`, {
      body: 'next',
      headers: withContext(written)
    })
    assert.equal(shown.text, 'next', describe(shown))
  }
})

test('blind writes through five nodes are five siblings, and one write through a stranger settles them', async () => {
  const path = '/kv/five/siblings'
  const { others } = await placesOf('siblings')
  const answers = await Promise.all(urls.map((url, i) => send(url, 'PUT', path, { body: `${i}` })))
  for (const answer of answers) assert.equal(answer.status, 204, describe(answer))
  const read = await send(others[0] ?? '', 'GET', `${path}?r=all`)
  assert.deepEqual(valuesOf(read), ['0', '1', '2', '3', '4'], describe(read))
  // Its own context takes the place of its own write and of no other.
  const [first] = answers
  assert.ok(first !== undefined)
  await send(others[1] ?? '', 'PUT', path, { body: '0 again', headers: withContext(first) })
  const again = await send(others[0] ?? '', 'GET', `${path}?r=all`)
  assert.deepEqual(valuesOf(again), ['0 again', '1', '2', '3', '4'])
  await send(others[1] ?? '', 'PUT', path, { body: 'settled', headers: withContext(again) })
  for (const url of urls) {
    assert.deepEqual(valuesOf(await send(url, 'GET', `${path}?r=all`)), ['settled'])
  }
})

test('refusals reach a client through a node that passed its write on', async () => {
  const { others } = await placesOf('refused')
  const [away = ''] = others
  const path = '/kv/five/refused'
  const refused = await send(away, 'PUT', `${path}?w=4`, { body: 'x' })
  expectProblem(refused, 400, 'bad_parameter')
  for (let i = 0; i < 64; i++) await send(away, 'PUT', path, { body: `${i}` })
  expectProblem(await send(away, 'PUT', path, { body: '64' }), 409, 'too_many_siblings')
})

test('a listing through any node has every key once, also with one of them gone', async () => {
  const keys = Array.from({ length: 150 }, (_, index) => `key-${index}`)
  const ops = keys.map((key) => ({ op: 'put', bucket: 'wide', key, value: '' }))
  const body = JSON.stringify({ ops })
  const headers = { 'Content-Type': 'application/json' }
  const filled = await send(urls[0] ?? '', 'POST', '/kv/batch?w=all', { body, headers })
  assert.ok(
    jsonOf<{ results: { status: number }[] }>(filled).results.every((r) => r.status === 204)
  )
  const list = async (url: string) => jsonOf<{ keys: string[] }>(await send(url, 'GET', '/kv/wide'))
  for (const url of [urls[0] ?? '', urls[4] ?? '']) {
    assert.deepEqual((await list(url)).keys.toSorted(), keys.toSorted())
  }
  const [victim] = cluster.nodes.slice(-1)
  await victim?.end('SIGKILL')
  await cluster.settled()
  for (const url of urls.slice(0, 4)) {
    assert.deepEqual((await list(url)).keys.toSorted(), keys.toSorted())
  }
})
