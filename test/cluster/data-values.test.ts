import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { expectProblem } from './expect-problem.ts'
import { contextOf, describe, jsonOf, keyPath, send, sendJson } from './http-request.ts'

const maxKeyBytes = 1024
const maxValueBytes = 1024 * 1024

let cluster: ClusterProcess
let n1: string
let n2: string
let n3: string

before(async () => {
  cluster = await ClusterProcess.start()
  ;[n1 = '', n2 = '', n3 = ''] = cluster.urls
})

after(() => cluster?.stop())

const names = [
  'plain',
  'a/b/c',
  '/',
  'with space',
  ' ',
  '"quotes" and \'quotes\'',
  'control\u0000\u0001\n\r\t\u007f',
  'emoji 🦕 ünïcödé',
  '..',
  '.',
  '...',
  '%2F',
  '%',
  'a+b&c=d?e#f;g:h',
  '\\back\\slash',
  '__proto__',
  'constructor',
  'toString',
  'batch',
  '*',
  ':key',
  'é'.repeat(maxKeyBytes / 2)
]

test('what one node was given under any name, every other gives back to the byte', async () => {
  for (const [index, name] of names.entries()) {
    const value = randomBytes(40)
    const headers = { 'Content-Type': 'text/x-odd; a="b c"', 'X-Meta-Colour': `red ${index}` }
    for (const path of [keyPath('names', name), keyPath(name, 'key')]) {
      const shown = path.slice(0, 60)
      const written = await send(n1, 'PUT', path, { headers, body: value })
      assert.equal(written.status, 204, `${shown}: ${describe(written)}`)
      for (const url of [n2, n3]) {
        const read = await send(url, 'GET', path)
        assert.equal(read.status, 200, `${shown}: ${describe(read)}`)
        assert.deepEqual(read.body, value, shown)
        assert.equal(read.headers['content-type'], 'text/x-odd; a="b c"')
        assert.equal(read.headers['x-meta-colour'], `red ${index}`)
        assert.equal(read.headers['etag'], written.headers['etag'])
      }
    }
  }
  const listed = await send(n2, 'GET', '/kv/names')
  assert.equal(listed.status, 200, describe(listed))
  assert.deepEqual(jsonOf<{ keys: string[] }>(listed).keys.toSorted(), names.toSorted())
})

test('an encoded slash, a percent sign and a plus stay different keys', async () => {
  const paths = ['/kv/near/a%2Fb', '/kv/near/a%252Fb', '/kv/near/a+b', '/kv/near/a%20b']
  for (const path of paths) await send(n1, 'PUT', path, { body: path })
  for (const path of paths) assert.equal((await send(n2, 'GET', path)).text, path)
})

test('names that are empty, too long, or no UTF-8 are refused as bad keys', async () => {
  const tooLong = 'k'.repeat(maxKeyBytes + 1)
  const bad = ['', tooLong, `${'é'.repeat(maxKeyBytes / 2)}x`, 'k'.repeat(30_000)]
  const paths = bad.flatMap((name) => [keyPath('b', name), keyPath(name, 'k')])
  for (const broken of ['%FF', '%', '%zz', '%ED%A0%80', '%C0%AF']) {
    paths.push(`/kv/b/${broken}`, `/kv/${broken}/k`)
  }
  for (const path of paths) {
    for (const method of ['PUT', 'GET', 'DELETE']) {
      expectProblem(await send(n1, method, path), 400, 'bad_key')
    }
  }
  expectProblem(await sendJson(n1, 'PUT', `/buckets/${tooLong}`, {}), 400, 'bad_key')
  expectProblem(await send(n1, 'GET', `/kv/${tooLong}`), 400, 'bad_key')
})

test('values from nothing to the limit come back whole, and one byte over is refused', async () => {
  for (const size of [0, 1, 4096, 4097, 8192, 8193, 65_536, maxValueBytes]) {
    for (const chunked of [false, true]) {
      const path = `/kv/sizes/${size}-${chunked}`
      const body = randomBytes(size)
      const written = await send(n1, 'PUT', path, { body, chunked })
      assert.equal(written.status, 204, describe(written))
      const read = await send(n2, 'GET', path)
      assert.equal(read.headers['content-length'], String(size))
      assert.deepEqual(read.body, body, path)
      const head = await send(n3, 'HEAD', path)
      assert.equal(head.status, 200)
      assert.equal(head.headers['content-length'], String(size))
      assert.equal(head.body.length, 0)
    }
  }
  for (const chunked of [false, true]) {
    const path = `/kv/sizes/over-${chunked}`
    const over = await send(n1, 'PUT', path, { body: randomBytes(maxValueBytes + 1), chunked })
    const problem = expectProblem(over, 413, 'value_too_large')
    assert.equal(problem['maxValueBytes'], maxValueBytes)
    assert.deepEqual(Object.keys(problem).sort(), [
      'code',
      'detail',
      'maxValueBytes',
      'status',
      'title',
      'type'
    ])
    assert.equal((await send(n2, 'GET', path)).status, 404)
  }
})

test('a client that is still sending what is too large gets the answer, not a reset', async () => {
  const body = Buffer.alloc(6 * maxValueBytes)
  for (let i = 0; i < 12; i++) {
    const answer = await send(n1, 'PUT', '/kv/sizes/far-over', { body, chunked: i % 2 === 0 })
    expectProblem(answer, 413, 'value_too_large')
    assert.notEqual(answer.headers['connection'], 'close')
  }
})

test('any content type is kept as it came; without one a value is bytes', async () => {
  const odd = ['garbage', 'text/html;;;', 'TEXT/Plain; Charset=UTF-8', 'a/b/c', 'x', '"', '*/*']
  for (const [index, contentType] of odd.entries()) {
    const path = `/kv/types/${index}`
    const written = await send(n1, 'PUT', path, {
      headers: { 'Content-Type': contentType },
      body: 'x'
    })
    assert.equal(written.status, 204, `${contentType}: ${describe(written)}`)
    const read = await send(n2, 'GET', path)
    assert.equal(read.headers['content-type'], contentType)
  }
  for (const [index, headers] of [{}, { 'Content-Type': '' }].entries()) {
    const path = `/kv/types/none-${index}`
    await send(n1, 'PUT', path, { headers, body: 'x' })
    const read = await send(n2, 'GET', path)
    assert.equal(read.headers['content-type'], 'application/octet-stream')
  }
  const long = { 'Content-Type': `text/${'x'.repeat(300)}` }
  const refused = await send(n1, 'PUT', '/kv/types/long', { headers: long, body: 'x' })
  assert.equal(expectProblem(refused, 400, 'bad_parameter')['parameter'], 'Content-Type')
})

test('meta headers are kept within limits that are told', async () => {
  const many = Array.from({ length: 33 }, (_, index) => [`X-Meta-${index}`, 'x'] as const)
  const cases = [Object.fromEntries(many), { 'X-Meta-Long': 'x'.repeat(5000) }, { 'X-Meta-': 'x' }]
  for (const headers of cases) {
    const refused = await send(n1, 'PUT', '/kv/meta/over', { headers, body: 'x' })
    assert.equal(expectProblem(refused, 400, 'bad_parameter')['parameter'], 'X-Meta')
  }
  const kept = { 'X-Meta-__proto__': 'a', 'x-meta-constructor': 'b', 'X-META-Latin': 'caf\xe9' }
  await send(n1, 'PUT', '/kv/meta/odd', { headers: kept, body: 'x' })
  const { headers } = await send(n3, 'GET', '/kv/meta/odd')
  assert.equal(headers['x-meta-__proto__'], 'a')
  assert.equal(headers['x-meta-constructor'], 'b')
  assert.equal(headers['x-meta-latin'], 'caf\xe9')
})

test('a read has a date and an ETag, and the ETag saves the value from being sent again', async () => {
  const path = '/kv/http/etag'
  const before = Math.floor(Date.now() / 1000) * 1000
  const first = await send(n1, 'PUT', path, { body: 'one' })
  const read = await send(n2, 'GET', path)
  const etag = read.headers['etag'] ?? ''
  assert.match(etag, /^"[0-9a-f]{16}"$/)
  const written = Date.parse(read.headers['last-modified'] ?? '')
  assert.ok(written >= before && written <= Date.now() + 1000, describe(read))
  for (const candidate of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const unchanged = await send(n3, 'GET', path, { headers: { 'If-None-Match': candidate } })
    assert.equal(unchanged.status, 304, `${candidate}: ${describe(unchanged)}`)
    assert.equal(unchanged.body.length, 0)
    assert.equal(unchanged.headers['etag'], etag)
    assert.equal(contextOf(unchanged), contextOf(read))
  }
  const other = { 'If-None-Match': '"0000000000000000"' }
  assert.equal((await send(n3, 'GET', path, { headers: other })).text, 'one')
  const again = { 'Causal-Context': contextOf(first) }
  await send(n1, 'PUT', path, { headers: again, body: 'one' })
  const newer = await send(n2, 'GET', path, { headers: { 'If-None-Match': etag } })
  assert.equal(newer.status, 200, 'another write of the same bytes is another version')
})

test('conditions hold back puts and deletes, and say what is there', async () => {
  const path = '/kv/http/conditions'
  const create = { 'If-None-Match': '*' }
  const missing = await send(n1, 'PUT', path, { headers: { 'If-Match': '*' }, body: 'no' })
  expectProblem(missing, 412, 'precondition_failed')
  const created = await send(n1, 'PUT', `${path}?return=body`, { headers: create, body: 'first' })
  assert.equal(created.status, 200, describe(created))
  assert.equal(created.text, 'first')
  const etag = created.headers['etag'] ?? ''

  const second = await send(n2, 'PUT', path, { headers: create, body: 'second' })
  assert.match(String(expectProblem(second, 412, 'precondition_failed')['detail']), RegExp(etag))
  for (const method of ['PUT', 'DELETE']) {
    const stale = { 'If-Match': '"0123456789abcdef"' }
    const refused = await send(n3, method, path, { headers: stale, body: 'no' })
    expectProblem(refused, 412, 'precondition_failed')
  }
  assert.equal((await send(n1, 'GET', path)).text, 'first')
  const current = { 'If-Match': etag, 'Causal-Context': contextOf(created) }
  const replaced = await send(n2, 'PUT', path, { headers: current, body: 'second' })
  assert.equal(replaced.status, 204, describe(replaced))
  const ifMatch = { 'If-Match': replaced.headers['etag'] ?? '' }
  assert.equal((await send(n3, 'DELETE', path, { headers: ifMatch })).status, 204)
  const recreated = await send(n1, 'PUT', path, { headers: create, body: 'third' })
  assert.equal(recreated.status, 204, 'a deleted key has no value')
})
