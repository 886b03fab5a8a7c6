import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { expectProblem } from './expect-problem.ts'
import {
  describe,
  jsonOf,
  type Received,
  send,
  sendJson,
  valuesOf,
  withContext
} from './http-request.ts'

let cluster: ClusterProcess
let urls: readonly string[]
let n1: string
let n2: string
let n3: string

before(async () => {
  cluster = await ClusterProcess.start()
  urls = cluster.urls
  ;[n1 = '', n2 = '', n3 = ''] = urls
})

after(() => cluster?.stop())

/** Sets the properties and waits until every node has them: a majority is enough for the answer. */
async function setBucket(url: string, bucket: string, properties: object): Promise<Received> {
  const path = `/buckets/${encodeURIComponent(bucket)}`
  const answer = await sendJson(url, 'PUT', path, properties)
  assert.equal(answer.status, 200, describe(answer))
  for (const node of cluster.nodes) {
    const isThere = async () => (await send(node.url, 'GET', path)).text === answer.text
    await node.until(`has the properties ${answer.text}`, isThere)
  }
  return answer
}

/** Polls until the key is gone everywhere; answers with how long that took. */
async function untilGone(path: string): Promise<number> {
  const startedMs = performance.now()
  for (const node of cluster.nodes) {
    const isGone = async () => (await send(node.url, 'GET', path)).status === 404
    await node.until(`has let ${path} expire`, isGone, 5)
  }
  return performance.now() - startedMs
}

test('properties set on one node are seen on all, listed, and reset', async () => {
  for (const name of ['plain', 'with/slash and space', '__proto__', 'constructor', '🦕']) {
    const properties = { conflict: 'lww', ttl: 60, r: 'all', w: 3 }
    const shown = { bucket: name, conflict: 'lww', ttl: 60, r: 'all', w: 3 }
    const answer = await setBucket(n1, name, properties)
    assert.deepEqual(jsonOf(answer), shown)
    for (const url of urls) {
      const { buckets } = jsonOf<{ buckets: unknown[] }>(await send(url, 'GET', '/buckets'))
      assert.deepEqual(buckets, [shown])
    }
    const path = `/buckets/${encodeURIComponent(name)}`
    assert.equal((await send(n2, 'DELETE', path)).status, 204)
    for (const node of cluster.nodes) {
      const isReset = async () =>
        (await send(node.url, 'GET', '/buckets')).text === '{"buckets":[]}'
      await node.until('has no properties left', isReset)
      const reset = jsonOf(await send(node.url, 'GET', path))
      assert.deepEqual(reset, { bucket: name, conflict: 'siblings', ttl: null, r: null, w: null })
    }
  }
  const never = await send(n3, 'DELETE', '/buckets/never-set')
  assert.equal(never.status, 204)
})

test('a PUT of properties replaces all of them', async () => {
  await setBucket(n1, 'whole', { conflict: 'lww', ttl: 60 })
  const second = await setBucket(n2, 'whole', { r: 1 })
  const expected = { bucket: 'whole', conflict: 'siblings', ttl: null, r: 1, w: null }
  assert.deepEqual(jsonOf(second), expected)
  await send(n1, 'DELETE', '/buckets/whole')
})

test('properties that make no sense are refused with the field, its value and what it takes', async () => {
  const cases: readonly (readonly [body: unknown, field: string, words: RegExp])[] = [
    [{ conflict: 'last' }, 'conflict', /conflict is "last".*siblings or lww/],
    [{ conflict: true }, 'conflict', /conflict is true/],
    [{ ttl: '60' }, 'ttl', /ttl is "60".*whole number/],
    [{ ttl: true }, 'ttl', /ttl is true/],
    [{ ttl: 0 }, 'ttl', /ttl is 0.*from 1/],
    [{ ttl: 1.5 }, 'ttl', /ttl is 1.5/],
    [{ ttl: null }, 'ttl', /ttl is null/],
    [{ r: 0 }, 'r', /r is 0/],
    [{ r: 4 }, 'r', /r is 4.*3 replicas.*1 to 3/],
    [{ w: '4' }, 'w', /w is 4/],
    [{ w: 'most' }, 'w', /w is "most".*quorum/],
    [{ w: ['all'] }, 'w', /w is a list/],
    [{ lww: true }, 'lww', /lww is no field.*conflict, ttl, r, w/],
    [{ '': 1 }, '', /no field/],
    [[], 'the body', /a list/],
    ['lww', 'the body', /"lww"/],
    [null, 'the body', /missing/]
  ]
  for (const [body, field, words] of cases) {
    const problem = expectProblem(await sendJson(n1, 'PUT', '/buckets/bad', body), 400, 'bad_body')
    assert.equal(problem['field'], field)
    assert.match(String(problem['detail']), words)
  }
  const json = { 'Content-Type': 'application/json' }
  for (const body of ['{"conflict":', '{conflict: "lww"}', 'x', '{"__proto__":{}}', '\u0000']) {
    const refused = await send(n1, 'PUT', '/buckets/bad', { headers: json, body })
    expectProblem(refused, 400, 'bad_body')
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'garbage']) {
    const headers = { 'Content-Type': type }
    const body = '{"conflict":"lww"}'
    const refused = await send(n1, 'PUT', '/buckets/bad', { headers, body })
    const problem = expectProblem(refused, 400, 'bad_body')
    assert.match(String(problem['detail']), /application\/json/)
  }
  expectProblem(await send(n1, 'PUT', '/buckets/bad'), 400, 'bad_body')
  assert.equal((await send(n1, 'GET', '/buckets')).text, '{"buckets":[]}')
})

test('in an lww bucket the last write stays, blind or not, and a context never goes stale for good', async () => {
  await setBucket(n1, 'last', { conflict: 'lww' })
  const path = '/kv/last/key'
  const answers: Received[] = []
  for (let i = 0; i < 9; i++) {
    answers.push(await send(urls[i % 3] ?? '', 'PUT', path, { body: `${i}` }))
    const read = await send(urls[(i + 1) % 3] ?? '', 'GET', path)
    assert.deepEqual(valuesOf(read), [`${i}`], describe(read))
  }
  for (const answer of answers) {
    const read = await send(n2, 'GET', path, { headers: withContext(answer) })
    assert.equal(read.text, '8', describe(read))
  }
  await Promise.all(urls.map((url, index) => send(url, 'PUT', path, { body: `at once ${index}` })))
  const reads = await Promise.all(urls.map((url) => send(url, 'GET', `${path}?r=all`)))
  for (const read of reads) assert.equal(read.status, 200, describe(read))
  assert.equal(new Set(reads.map(({ text }) => text)).size, 1, 'all nodes have the same winner')
  await send(n3, 'DELETE', path)
  assert.equal((await send(n1, 'GET', path)).headers['x-deleted'], 'true')
})

test('a bucket that becomes lww settles the siblings that it has', async () => {
  const path = '/kv/turning/key'
  await send(n1, 'PUT', path, { body: 'earlier' })
  await send(n2, 'PUT', path, { body: 'later' })
  assert.equal((await send(n3, 'GET', path)).status, 300)
  await setBucket(n3, 'turning', { conflict: 'lww' })
  for (const url of urls) assert.equal((await send(url, 'GET', `${path}?r=all`)).text, 'later')
})

test('values end after their time: that of the write, or that of the bucket', async () => {
  await setBucket(n2, 'passing', { ttl: 1 })
  await Promise.all([
    send(n1, 'PUT', '/kv/passing/by-bucket', { body: 'x' }),
    send(n1, 'PUT', '/kv/passing/longer?ttl=3600', { body: 'stays' }),
    send(n2, 'PUT', '/kv/other/by-write?ttl=1', { body: 'x' }),
    send(n3, 'PUT', '/kv/other/for-good', { body: 'stays' })
  ])
  const waits = [untilGone('/kv/passing/by-bucket'), untilGone('/kv/other/by-write')]
  for (const tookMs of await Promise.all(waits)) assert.ok(tookMs < 3000, `${tookMs} ms`)
  for (const path of ['/kv/passing/longer', '/kv/other/for-good']) {
    assert.equal((await send(n1, 'GET', path)).text, 'stays', path)
  }
  const gone = await send(n2, 'GET', '/kv/other/by-write')
  expectProblem(gone, 404, 'not_found')
  assert.deepEqual(jsonOf(await send(n3, 'GET', '/kv/other'))['keys'], ['for-good'])
  await send(n1, 'PUT', '/kv/other/by-write', { body: 'again', headers: withContext(gone) })
  assert.equal((await send(n3, 'GET', '/kv/other/by-write')).text, 'again')
})

test('quorums of a bucket hold where the request names none', async () => {
  await setBucket(n1, 'quorums', { r: 'all', w: 'all' })
  const written = await send(n1, 'PUT', '/kv/quorums/key', { body: 'x' })
  assert.equal(written.headers['x-replicas'], '3/3')
  const read = await send(n2, 'GET', '/kv/quorums/key')
  assert.equal(read.headers['x-replicas'], '3/3')
})
