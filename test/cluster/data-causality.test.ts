import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { expectProblem } from './expect-problem.ts'
import {
  contextOf,
  describe,
  jsonOf,
  type Received,
  type SiblingSeen,
  send,
  valuesOf,
  withContext
} from './http-request.ts'
import { parseMultipart } from './parse-multipart.ts'

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

function put(url: string, path: string, body: string, read?: Received): Promise<Received> {
  return send(url, 'PUT', path, { body, headers: read === undefined ? {} : withContext(read) })
}

function get(url: string, path: string): Promise<Received> {
  return send(url, 'GET', path)
}

/** Every node, with all replicas taking part, finds exactly these values. */
async function expectEverywhere(path: string, values: readonly string[]): Promise<void> {
  for (const url of urls) {
    const read = await get(url, `${path}?r=all`)
    assert.deepEqual(valuesOf(read), values, describe(read))
  }
}

test('two blind writes are siblings, told in words, and a write with the context settles them', async () => {
  const path = '/kv/causal/blind'
  await send(n1, 'PUT', path, {
    body: 'a',
    headers: { 'Content-Type': 'text/a', 'X-Meta-Who': 'ada' }
  })
  await put(n2, path, 'b')
  const read = await get(n3, path)
  assert.equal(read.status, 300, describe(read))
  assert.deepEqual(valuesOf(read), ['a', 'b'])
  const { detail, siblings } = jsonOf<{ detail: string; siblings: SiblingSeen[] }>(read)
  assert.match(detail, /not seen each other/)
  assert.match(detail, /Causal-Context/)
  assert.match(detail, /lww/)
  const first = siblings.find(({ meta }) => meta['who'] === 'ada')
  assert.equal(first?.contentType, 'text/a')

  for (const { etag, value } of siblings) {
    for (const wanted of [etag, encodeURIComponent(`"${etag}"`)]) {
      const one = await get(n1, `${path}?sibling=${wanted}`)
      assert.equal(one.status, 200, describe(one))
      assert.deepEqual(one.body, Buffer.from(value, 'base64'))
      assert.equal(one.headers['etag'], `"${etag}"`)
      assert.equal(contextOf(one), contextOf(read), 'the context covers what was shown')
    }
  }
  const none = await get(n1, `${path}?sibling=0000000000000000`)
  assert.match(String(expectProblem(none, 404, 'not_found')['detail']), RegExp(`${first?.etag}`))

  const head = await send(n2, 'HEAD', path)
  assert.equal(head.status, 300)
  assert.equal(head.body.length, 0)
  const etag = read.headers['etag'] ?? ''
  assert.equal((await send(n2, 'GET', path, { headers: { 'If-None-Match': etag } })).status, 304)

  const settled = await put(n2, path, 'both', read)
  assert.equal(settled.status, 204, describe(settled))
  await expectEverywhere(path, ['both'])
})

test('siblings come as multipart where that is asked for, whatever their bytes', async () => {
  const path = '/kv/causal/multipart'
  const values = [Buffer.from([0, 255, 13, 10, 45, 45, 13, 10]), Buffer.alloc(0), Buffer.from('c')]
  for (const [index, body] of values.entries()) {
    const headers = { 'Content-Type': `text/x-${index}`, 'X-Meta-Index': `${index}` }
    await send(urls[index] ?? '', 'PUT', path, { body, headers })
  }
  const read = await send(n2, 'GET', path, { headers: { Accept: 'multipart/mixed' } })
  assert.equal(read.status, 300, describe(read))
  assert.match(read.headers['vary'] ?? '', /accept/i)
  const { preamble, parts } = parseMultipart(read.headers['content-type'] ?? '', read.body)
  assert.match(preamble, /had not seen each other.*Causal-Context.*lww/)
  assert.equal(parts.length, values.length)
  for (const [index, value] of values.entries()) {
    const part = parts.find(({ headers }) => headers.get('x-meta-index') === `${index}`)
    assert.deepEqual(part?.body, value)
    assert.equal(part.headers.get('content-type'), `text/x-${index}`)
    assert.equal(part.headers.get('content-length'), `${value.length}`)
    const etag = part.headers.get('etag') ?? ''
    const one = await get(n1, `${path}?sibling=${encodeURIComponent(etag)}`)
    assert.deepEqual(one.body, value)
  }
  const unwanted = { Accept: 'multipart/mixed;q=0, application/json' }
  const json = await send(n3, 'GET', path, { headers: unwanted })
  assert.match(json.headers['content-type'] ?? '', /^application\/json/)
})

test('a write with a stale context becomes a sibling of the newer one', async () => {
  const path = '/kv/causal/stale'
  await put(n1, path, 'old')
  const stale = await get(n2, path)
  await put(n3, path, 'newer', stale)
  await put(n1, path, 'late', stale)
  await expectEverywhere(path, ['late', 'newer'])
})

test('the context of a blind write covers that write and nothing that its writer never saw', async () => {
  const ways = [
    [n1, n1, n1],
    [n1, n2, n3],
    [n2, n1, n2],
    [n3, n3, n1]
  ] as const
  for (const [index, [first, second, third]] of ways.entries()) {
    const path = `/kv/causal/unseen-${index}`
    await put(first, path, 'a')
    const second_ = await put(second, path, 'b')
    await put(third, path, 'c', second_)
    await expectEverywhere(path, ['a', 'c'])
    const own = await send(second, 'PUT', `${path}?return=body`, {
      body: 'd',
      headers: withContext(second_)
    })
    assert.equal(own.status, 300, describe(own))
    assert.deepEqual(valuesOf(own), ['a', 'c', 'd'])
    await put(third, path, 'all', own)
    await expectEverywhere(path, ['all'])
  }
})

test('?return=body shows the key as a read would', async () => {
  const path = '/kv/causal/return'
  const headers = { 'Content-Type': 'text/x', 'X-Meta-A': 'b' }
  const first = await send(n1, 'PUT', `${path}?return=body`, { body: 'a', headers })
  assert.equal(first.status, 200, describe(first))
  assert.equal(first.text, 'a')
  assert.equal(first.headers['content-type'], 'text/x')
  assert.equal(first.headers['x-meta-a'], 'b')
  const read = await get(n2, path)
  assert.equal(contextOf(first), contextOf(read))
  assert.equal(first.headers['etag'], read.headers['etag'])
})

test('a delete with a context takes away what it covers, and one without takes all', async () => {
  const path = '/kv/causal/delete'
  await put(n1, path, 'seen')
  const seen = await get(n2, path)
  await put(n3, path, 'unseen')
  const deleted = await send(n2, 'DELETE', path, { headers: withContext(seen) })
  assert.equal(deleted.status, 204, describe(deleted))
  assert.notEqual(contextOf(deleted), '')
  await expectEverywhere(path, ['unseen'])

  await put(n1, path, 'more')
  await put(n2, path, 'and more')
  assert.equal((await send(n3, 'DELETE', path)).status, 204)
  await expectEverywhere(path, [])
})

test('a deleted key says so, and its context lets one write again', async () => {
  const path = '/kv/causal/again'
  await put(n1, path, 'first')
  await send(n2, 'DELETE', path)
  const gone = await get(n3, path)
  expectProblem(gone, 404, 'not_found')
  assert.equal(gone.headers['x-deleted'], 'true')
  assert.notEqual(contextOf(gone), '')
  const head = await send(n1, 'HEAD', path)
  assert.equal(head.status, 404)
  assert.equal(head.headers['x-deleted'], 'true')
  await put(n1, path, 'second', gone)
  await expectEverywhere(path, ['second'])
})

test('deleting what is not there succeeds with a context, and what was never there says no more', async () => {
  const path = '/kv/causal/nothing'
  const unknown = await get(n1, path)
  expectProblem(unknown, 404, 'not_found')
  assert.equal(unknown.headers['x-deleted'], undefined)
  assert.equal(contextOf(unknown), '')
  const deleted = await send(n1, 'DELETE', path)
  assert.equal(deleted.status, 204)
  await put(n2, path, 'value', deleted)
  await expectEverywhere(path, ['value'])
})

test('a read with a context is at least that new', async () => {
  const path = '/kv/causal/at-least'
  let written = await put(n1, path, '0')
  for (let i = 1; i < 20; i++) {
    written = await put(urls[i % 3] ?? '', path, `${i}`, written)
    const reader = urls[(i + 1) % 3] ?? ''
    const read = await send(reader, 'GET', `${path}?r=1`, { headers: withContext(written) })
    assert.deepEqual(valuesOf(read), [`${i}`], describe(read))
  }
})

test('contexts that were altered, borrowed or made up are refused, and nothing is written', async () => {
  const path = '/kv/causal/guarded'
  const context = contextOf(await put(n1, path, 'guarded'))
  const bytes = Buffer.from(context, 'base64url')
  const flipped = Array.from(bytes, (byte, at) => {
    const copy = Buffer.from(bytes)
    copy[at] = byte ^ (1 << (at % 8))
    return copy.toString('base64url')
  })
  const otherKey = contextOf(await put(n1, '/kv/causal/guarded2', 'x'))
  const otherBucket = contextOf(await put(n1, '/kv/causal2/guarded', 'x'))
  // The same bytes in a row, with the border between bucket and key elsewhere.
  const otherBorder = contextOf(await put(n1, '/kv/causalg/uarded', 'x'))
  const bad = [
    ...flipped,
    otherKey,
    otherBucket,
    otherBorder,
    '',
    ' ',
    'garbage',
    '!!!',
    'null',
    `${context}=`,
    `${context}A`,
    context.slice(0, -1),
    context.slice(0, 10),
    `${context}, ${context}`,
    'A'.repeat(40_000)
  ]
  for (const [index, token] of bad.entries()) {
    const url = urls[index % 3] ?? ''
    for (const method of ['PUT', 'DELETE', 'GET']) {
      const headers = { 'Causal-Context': token }
      const refused = await send(url, method, path, { headers, body: 'no' })
      expectProblem(refused, 400, 'bad_context')
    }
  }
  await expectEverywhere(path, ['guarded'])
})

test('a key takes no more siblings than the limit, and says how to go on', async () => {
  const path = '/kv/causal/crowded'
  for (let i = 0; i < 64; i++) await put(urls[i % 3] ?? '', path, `${i}`)
  const refused = await put(n1, path, 'one too many')
  expectProblem(refused, 409, 'too_many_siblings')
  const read = await get(n2, `${path}?r=all`)
  assert.equal(valuesOf(read).length, 64)
  assert.equal((await put(n3, path, 'settled', read)).status, 204)
  await expectEverywhere(path, ['settled'])
})
