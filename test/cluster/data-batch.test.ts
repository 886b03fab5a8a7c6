import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { expectProblem } from './expect-problem.ts'
import { contextOf, describe, jsonOf, type Received, send, sendJson } from './http-request.ts'

let cluster: ClusterProcess
let n1: string
let n2: string
let n3: string

before(async () => {
  cluster = await ClusterProcess.start()
  ;[n1 = '', n2 = '', n3 = ''] = cluster.urls
})

after(() => cluster?.stop())

interface Page {
  readonly keys: readonly string[]
  readonly cursor: string | null
}

type Result = Readonly<Record<string, unknown>>

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

async function batch(url: string, ops: readonly object[], query = ''): Promise<Result[]> {
  const answer = await sendJson(url, 'POST', `/kv/batch${query}`, { ops })
  assert.equal(answer.status, 200, describe(answer))
  const { atomic, results } = jsonOf<{ atomic: boolean; results: Result[] }>(answer)
  assert.equal(atomic, false)
  return results
}

test('a batch answers in order, each operation with the outcome that it would have had alone', async () => {
  const sibling = (value: string) => send(n1, 'PUT', '/kv/batched/siblings', { body: value })
  await sibling('a')
  await sibling('b')
  const old = await send(n2, 'PUT', '/kv/batched/old', { body: 'old' })
  await send(n3, 'PUT', '/kv/batched/dead', { body: 'x' })
  const key = { bucket: 'batched' }
  const results = await batch(n3, [
    { op: 'put', ...key, key: 'new', value: base64('new'), contentType: 'text/new' },
    { op: 'get', ...key, key: 'none' },
    { op: 'put', ...key, key: 'old', value: base64('newer'), context: contextOf(old) },
    { op: 'get', ...key, key: 'siblings' },
    { op: 'delete', ...key, key: 'dead' },
    { op: 'put', ...key, key: 'x', value: '!' },
    { op: 'put', ...key, key: 'x' },
    { op: 'put', ...key, key: 'x', value: '', context: contextOf(old) },
    { op: 'get', ...key, key: '' },
    { op: 'get', bucket: 'b'.repeat(1025), key: 'x' },
    { op: 'put', ...key, key: 'x', value: base64('v'), contentType: 'text/a\r\nX-Evil: 1' },
    { op: 'put', ...key, key: 'x', value: base64('v'), contentType: 'te€xt' },
    { op: 'put', ...key, key: 'x', value: base64('v'), contentType: '' },
    { op: 'get', ...key, key: '\ud800' }
  ])
  const codes = results.map(({ status, code }) => (code === undefined ? status : code))
  assert.deepEqual(codes, [
    204,
    'not_found',
    204,
    300,
    204,
    'bad_body',
    'bad_body',
    'bad_context',
    'bad_key',
    'bad_key',
    'bad_parameter',
    'bad_parameter',
    'bad_parameter',
    'bad_key'
  ])
  for (const { code, status, detail } of results) {
    if (code !== undefined) assert.ok(Number(status) >= 400 && typeof detail === 'string')
  }
  const siblings = results[3]?.['siblings']
  assert.equal(Array.isArray(siblings) && siblings.length, 2)
  const after = await batch(n1, [
    { op: 'get', ...key, key: 'new' },
    { op: 'get', ...key, key: 'old' },
    { op: 'get', ...key, key: 'dead' },
    { op: 'get', ...key, key: 'x' }
  ])
  assert.equal(after[0]?.['value'], base64('new'))
  assert.equal(after[0]?.['contentType'], 'text/new')
  assert.equal(after[1]?.['value'], base64('newer'))
  assert.equal(after[2]?.['status'], 404)
  assert.equal(after[2]?.['deleted'], true)
  assert.ok(after[2]?.['context'])
  assert.equal(after[3]?.['status'], 404, 'what was refused was not written')
  assert.equal((await send(n2, 'GET', '/kv/batched/new')).headers['content-type'], 'text/new')
})

test('the context of a key that never was can be given as it came, which is as none', async () => {
  const key = { bucket: 'batched', key: 'context of nothing' }
  const [none] = await batch(n1, [{ op: 'get', ...key }])
  const context = none?.['context'] ?? null
  const put = { op: 'put', ...key, value: base64('v'), context }
  for (const operation of [
    put,
    { op: 'get', ...key, context },
    { op: 'delete', ...key, context }
  ]) {
    const [result] = await batch(n1, [operation])
    assert.ok(Number(result?.['status']) < 300, JSON.stringify(result))
  }
})

test('a batch that is no batch is refused whole, naming the field', async () => {
  const get = { op: 'get', bucket: 'b', key: 'k' }
  const cases: readonly (readonly [body: unknown, words: RegExp])[] = [
    [{}, /ops is missing/],
    [{ ops: {} }, /ops is a JSON object.*list/],
    [{ ops: [get, { ...get, op: 'peek' }] }, /ops\[1\]\.op is "peek".*get or put or delete/],
    [{ ops: [{ op: 'get', bucket: 'b' }] }, /ops\[0\]\.key is missing/],
    [{ ops: [{ ...get, key: 1 }] }, /ops\[0\]\.key is 1/],
    [{ ops: [{ ...get, ttl: 1 }] }, /ops\[0\]\.ttl is no field/],
    [{ ops: [{ ...get, context: 1 }] }, /ops\[0\]\.context is 1: it must be a string, or null/],
    [{ ops: [null] }, /ops\[0\] is null/],
    [{ ops: [], atomic: true }, /atomic is no field/],
    [{ ops: new Array(1001).fill(get) }, /1001.*1000/],
    [[get], /a list/]
  ]
  for (const [body, words] of cases) {
    const problem = expectProblem(await sendJson(n1, 'POST', '/kv/batch', body), 400, 'bad_body')
    assert.match(String(problem['detail']), words)
  }
  const big = { ops: [{ op: 'put', bucket: 'b', key: 'k', value: 'A'.repeat(1_500_000) }] }
  expectProblem(await sendJson(n1, 'POST', '/kv/batch', big), 413, 'value_too_large')
  const unknown = await sendJson(n1, 'POST', '/kv/batch?nope=1', { ops: [] })
  expectProblem(unknown, 400, 'bad_parameter')
  assert.deepEqual(await batch(n1, []), [])
  assert.equal((await batch(n1, new Array(1000).fill(get))).length, 1000)
})

test('the quorums of a batch hold for each of its operations', async () => {
  const [result] = await batch(n1, [{ op: 'get', bucket: 'b', key: 'k' }], '?r=4')
  assert.equal(result?.['code'], 'bad_parameter')
  const [written] = await batch(
    n1,
    [{ op: 'put', bucket: 'b', key: 'k', value: '' }],
    '?w=all&timeout=5000'
  )
  assert.equal(written?.['status'], 204)
})

const keyCount = 400

async function fill(bucket: string): Promise<readonly string[]> {
  const keys = Array.from({ length: keyCount }, (_, index) => `${index % 10}/key ${index}`)
  const ops = keys.map((key) => ({ op: 'put', bucket, key, value: base64(key) }))
  for (const { status } of await batch(n1, ops)) assert.equal(status, 204)
  const dead = keys.filter((_, index) => index % 7 === 0)
  const deletes = dead.map((key) => ({ op: 'delete', bucket, key }))
  for (const { status } of await batch(n2, deletes)) assert.equal(status, 204)
  await batch(n1, [{ op: 'put', bucket: `${bucket}x`, key: 'elsewhere', value: '' }])
  return keys.filter((_, index) => index % 7 !== 0).sort()
}

/** All pages, and how many there were. */
async function listAll(url: string, bucket: string, query: string): Promise<[string[], number]> {
  const keys: string[] = []
  let cursor: string | null = ''
  let pages = 0
  while (cursor !== null) {
    const answer: Received = await send(url, 'GET', `/kv/${bucket}?${query}&cursor=${cursor}`)
    assert.equal(answer.status, 200, describe(answer))
    const page = jsonOf<Page>(answer)
    keys.push(...page.keys)
    cursor = page.cursor
    assert.ok(++pages < 1000, 'the walk comes to an end')
  }
  return [keys, pages]
}

test('a listing is complete, each key once, in pages of any size and on every node', async () => {
  const expected = await fill('listed')
  for (const [url, limit] of [
    [n1, 1000],
    [n2, 37],
    [n3, 100]
  ] as const) {
    const [keys, pages] = await listAll(url, 'listed', `limit=${limit}`)
    assert.deepEqual(keys.toSorted(), expected)
    assert.ok(pages >= expected.length / limit && pages <= expected.length / limit + 2, `${pages}`)
  }
  const [some] = await listAll(n2, 'listed', `prefix=${encodeURIComponent('3/key 1')}&limit=5`)
  const begins = expected.filter((key) => key.startsWith('3/key 1'))
  assert.deepEqual(some.toSorted(), begins)
  const [none] = await listAll(n2, 'listed', 'prefix=nothing')
  assert.deepEqual(none, [])
  assert.deepEqual((await listAll(n1, 'never', 'limit=10'))[0], [])
})

test('as NDJSON a listing has a key a line, and the cursor last', async () => {
  const headers = { Accept: 'application/x-ndjson' }
  const page = await send(n1, 'GET', '/kv/listed?limit=50', { headers })
  assert.match(page.headers['content-type'] ?? '', /^application\/x-ndjson/)
  assert.ok(page.text.endsWith('\n'))
  const lines = page.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Result)
  assert.equal(lines.length, 51)
  assert.ok(lines.slice(0, 50).every(({ key }) => typeof key === 'string'))
  assert.equal(lines[50]?.['cursor'], page.headers['x-cursor'])
  const rest = await send(n2, 'GET', `/kv/listed?cursor=${lines[50]?.['cursor']}`, { headers })
  const keys = [
    ...lines.slice(0, 50),
    ...rest.text
      .trimEnd()
      .split('\n')
      .map((l) => JSON.parse(l))
  ]
  assert.equal(new Set(keys.map(({ key }) => key)).size, keys.length)
})

test('cursors and limits that no listing gave out are refused', async () => {
  const encode = (...bytes: number[]) => Buffer.from(bytes).toString('base64url')
  const cursors = [
    'x',
    'AAAAA===',
    '%00',
    encode(0, 0, 1, 0),
    encode(255, 255, 255, 255),
    encode(0, 0, 0, 0, 0),
    encode(0, 0, 0, 0, 0x6d),
    encode(0, 0, 0, 3, 0xff, 0xff),
    encode(0, 0, 0, 1, 0x6f, 0, 0, 0, 0)
  ]
  for (const cursor of cursors) {
    const refused = await send(n1, 'GET', `/kv/listed?cursor=${cursor}`)
    assert.equal(expectProblem(refused, 400, 'bad_parameter')['parameter'], 'cursor')
  }
  for (const limit of ['0', '-1', '1.5', 'all', '10001', '']) {
    const refused = await send(n1, 'GET', `/kv/listed?limit=${limit}`)
    assert.equal(expectProblem(refused, 400, 'bad_parameter')['parameter'], 'limit')
  }
})

test('with a node down a listing is as complete, and a context that only it has is stale', async () => {
  const expected = await fill('outage')
  await sendJson(n1, 'PUT', '/buckets/strict', { r: 'all' })
  const [first, ...others] = cluster.nodes
  assert.ok(first !== undefined)
  await Promise.all(others.map((node) => node.end('SIGKILL')))
  const path = '/kv/outage-stale/key'
  await first.until('takes writes alone', async () => {
    const written = await send(n1, 'PUT', `${path}?w=1`, { body: 'before' })
    return written.status === 204
  })
  const alone = await send(n1, 'PUT', `${path}?w=1`, { body: 'only here' })
  assert.equal(alone.status, 204, describe(alone))
  await first.end('SIGKILL')
  await Promise.all(others.map((node) => node.start()))
  await cluster.settled()

  const [keys] = await listAll(n2, 'outage', 'limit=90')
  assert.deepEqual(keys.toSorted(), expected)
  // What the bucket asks of its reads holds for its listing too, unless the call says otherwise.
  const strict = expectProblem(await send(n2, 'GET', '/kv/strict'), 503, 'quorum_unavailable')
  assert.equal(strict['needed'], 3)
  assert.deepEqual((await listAll(n2, 'strict', 'r=2'))[0], [])
  const headers = { 'Causal-Context': contextOf(alone) }
  const stale = await send(n2, 'GET', path, { headers })
  expectProblem(stale, 503, 'stale')
  assert.equal((await send(n2, 'GET', path)).status, 404, 'without the context there is nothing')

  await first.start()
  await cluster.settled()
  const found = await send(n3, 'GET', path, { headers })
  assert.ok([200, 300].includes(found.status), describe(found))
  assert.match(found.status === 200 ? found.text : JSON.stringify(jsonOf(found)), /only here|b25se/)
})
