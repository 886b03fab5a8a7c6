import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { expectProblem } from './expect-problem.ts'
import { describe, jsonOf, send } from './http-request.ts'

let cluster: ClusterProcess
let n1: string
let n2: string

before(async () => {
  cluster = await ClusterProcess.start()
  ;[n1 = '', n2 = ''] = cluster.urls
  await send(n1, 'PUT', '/kv/b/k?w=all', { body: 'value' })
})

after(() => cluster?.stop())

test('r and w take numbers and names, and X-Replicas tells what they came to', async () => {
  const needed = { 1: 1, 2: 2, 3: 3, one: 1, quorum: 2, all: 3, local_quorum: 2, each_quorum: 2 }
  for (const [quorum, count] of Object.entries(needed)) {
    const read = await send(n2, 'GET', `/kv/b/k?r=${quorum}`)
    assert.equal(read.text, 'value', describe(read))
    const written = await send(n1, 'PUT', `/kv/b/w-${quorum}?w=${quorum}`, { body: 'x' })
    assert.equal(written.status, 204, describe(written))
    for (const answer of [read, written]) {
      const [answered, asked] = (answer.headers['x-replicas'] ?? '').split('/').map(Number)
      assert.ok(Number(answered) >= count && Number(asked) <= 3, `${quorum}: ${describe(answer)}`)
    }
  }
})

const badQuorums = ['0', '4', '-1', '1.5', '1e0', '0x2', '2 ', ' 2', '', 'ALL', 'two', 'true', '"']

test('quorums that make no sense are refused with what they may be', async () => {
  for (const text of badQuorums) {
    const query = encodeURIComponent(text)
    for (const [method, name] of [
      ['GET', 'r'],
      ['PUT', 'w'],
      ['DELETE', 'w']
    ] as const) {
      const refused = await send(n1, method, `/kv/b/k?${name}=${query}`)
      const problem = expectProblem(refused, 400, 'bad_parameter')
      assert.equal(problem['parameter'], name)
      const shown = text === '4' ? '4' : JSON.stringify(text)
      assert.ok(String(problem['detail']).startsWith(`${name} is ${shown}`), describe(refused))
      assert.match(String(problem['detail']), text === '4' ? /3 replicas/ : /quorum/)
    }
  }
  assert.equal((await send(n1, 'GET', '/kv/b/k')).text, 'value', 'nothing was written or deleted')
})

test('every other parameter says what it takes', async () => {
  const cases: readonly (readonly [query: string, parameter: string, words: RegExp])[] = [
    ['sloppy=maybe', 'sloppy', /"maybe".*true or false/],
    ['sloppy=1', 'sloppy', /true or false/],
    ['sloppy=', 'sloppy', /""/],
    ['timeout=0', 'timeout', /timeout is 0.*from 1 to 600000/],
    ['timeout=-5', 'timeout', /-5/],
    ['timeout=1.5', 'timeout', /whole number/],
    ['timeout=soon', 'timeout', /"soon"/],
    ['timeout=99999999999999999999', 'timeout', /whole number/],
    ['timeout=600001', 'timeout', /600000/],
    ['r=1&r=2', 'r', /2 times/],
    [`r=${'x'.repeat(5000)}`, 'r', /…/]
  ]
  for (const [query, parameter, words] of cases) {
    for (const path of ['/kv/b/k', '/kv/b']) {
      const refused = await send(n1, 'GET', `${path}?${query}`)
      const problem = expectProblem(refused, 400, 'bad_parameter')
      assert.equal(problem['parameter'], parameter)
      assert.match(String(problem['detail']), words)
    }
  }
  for (const [query, words] of [
    ['return=all', /return is "all".*body/],
    ['ttl=0', /ttl is 0/],
    ['ttl=1h', /"1h".*whole number/]
  ] as const) {
    const refused = await send(n1, 'PUT', `/kv/b/k?${query}`, { body: 'no' })
    assert.match(String(expectProblem(refused, 400, 'bad_parameter')['detail']), words)
  }
})

test('a parameter that is not known is refused by its name, whatever that is', async () => {
  for (const name of ['R', 'foo', '__proto__', 'constructor', 'r[]', '', 'x'.repeat(500)]) {
    for (const [method, path] of [
      ['GET', '/kv/b/k'],
      ['PUT', '/kv/b/k'],
      ['DELETE', '/kv/b/k'],
      ['GET', '/kv/b'],
      ['GET', '/admin/keys/b/k']
    ] as const) {
      const refused = await send(n1, method, `${path}?${encodeURIComponent(name)}=1`)
      const { parameter, detail } = expectProblem(refused, 400, 'bad_parameter')
      assert.equal(parameter, name.slice(0, 64))
      assert.match(String(detail), /it takes /)
    }
  }
  assert.equal((await send(n1, 'GET', '/kv/b/k')).text, 'value')
})

test('sloppy and timeout are taken', async () => {
  for (const query of [
    'sloppy=false',
    'sloppy=true',
    'timeout=5000',
    'sloppy=false&timeout=1000'
  ]) {
    assert.equal((await send(n2, 'GET', `/kv/b/k?${query}`)).text, 'value', query)
    assert.equal((await send(n2, 'PUT', `/kv/b/new?${query}`, { body: 'x' })).status, 204, query)
  }
})

test('requests that are no HTTP, or have too much before the body, get an answer all the same', async () => {
  const headers = { 'X-Long': 'x'.repeat(200_000) }
  const refused = await send(n1, 'GET', '/kv/b/k', { headers })
  expectProblem(refused, 431, 'headers_too_large')
  for (const nonsense of [
    'what?\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    '\u0016\u0003\u0001\r\n\r\n'
  ]) {
    const answer = await sendRaw(n1, nonsense)
    assert.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
    assert.match(answer, /Content-Type: application\/problem\+json/)
    assert.match(answer, /"code":"bad_request"/)
  }
})

test('what Node.js would refuse without a word is a problem as everything else', async () => {
  const end = 'Connection: close\r\n\r\n'
  for (const [head, status, code] of [
    ['GET /kv/b/k HTTP/1.1\r\n', 400, 'bad_request'],
    ['GET /kv/b/k HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n', 417, 'expectation_failed']
  ] as const) {
    const answer = await sendRaw(n1, head + end)
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer)
    assert.match(answer, /content-type: application\/problem\+json/i)
    assert.match(answer, /request-id: /i)
    assert.ok(answer.includes(`"code":"${code}"`), answer)
  }
  const continued = await sendRaw(
    n1,
    `GET /livez HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n${end}`
  )
  assert.match(continued, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  assert.match(await sendRaw(n1, 'GET /livez HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 OK\r\n/)
})

test('whether a path or a method exists is told before anything of the body', async () => {
  const bodies = [
    ['application/json', '{bad'],
    ['application/json', 'x'.repeat(2_000_000)],
    ['garbage', 'x'],
    ['application/x-www-form-urlencoded', 'a=b']
  ] as const
  for (const [contentType, body] of bodies) {
    const headers = { 'Content-Type': contentType }
    const nowhere = await send(n1, 'PUT', '/nope', { headers, body })
    expectProblem(nowhere, 404, 'no_such_route')
    const refused = await send(n1, 'POST', '/kv/b/k', { headers, body })
    expectProblem(refused, 405, 'method_not_allowed')
    assert.equal(refused.headers['allow'], 'DELETE, GET, HEAD, PUT')
  }
})

/** What comes back before the server hangs up. */
function sendRaw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(port), hostname, () => socket.write(text))
    socket.on('data', (data) => {
      answer += data.toString()
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

test('a call without a body is one, whatever type that body is said to be of', async () => {
  const form = 'application/x-www-form-urlencoded'
  const json = 'application/json'
  const calls = [
    '/admin/repair/pause',
    '/admin/repair/resume',
    '/admin/hints/flush',
    '/admin/repair'
  ]
  for (const path of calls) {
    for (const contentType of [form, json]) {
      const answer = await send(n1, 'POST', path, {
        headers: { 'Content-Type': contentType },
        body: ''
      })
      assert.ok(answer.status < 300, `${path} ${contentType}: ${describe(answer)}`)
    }
    const refused = await send(n1, 'POST', path, { headers: { 'Content-Type': form }, body: 'a=b' })
    assert.match(String(expectProblem(refused, 400, 'bad_body')['detail']), /application\/json/)
  }
  const headers = { 'Content-Type': form }
  assert.equal((await send(n1, 'PUT', '/kv/b/typed', { headers, body: '' })).status, 204)
  assert.equal((await send(n1, 'GET', '/kv/b/typed')).headers['content-type'], form)
})

test('a path that leads nowhere is 404, and a method that it does not take 405 with Allow', async () => {
  const nowhere = ['/nope', '/kv', '/kv/', '/kv/a/b/c', '/admin', '/admin/nope', '/buckets/a/b']
  for (const path of nowhere) {
    const answer = await send(n1, 'GET', path)
    if (path === '/kv/') expectProblem(answer, 400, 'bad_key')
    else expectProblem(answer, 404, 'no_such_route')
  }
  const long = await send(n1, 'GET', `/${'x'.repeat(20_000)}`)
  expectProblem(long, 404, 'no_such_route')
  const allowed = [
    ['POST', '/kv/b/k', 'DELETE, GET, HEAD, PUT'],
    ['PATCH', '/kv/b/k', 'DELETE, GET, HEAD, PUT'],
    ['OPTIONS', '/kv/b/k', 'DELETE, GET, HEAD, PUT'],
    ['PUT', '/kv/b', 'GET, HEAD'],
    ['DELETE', '/kv/batch', 'GET, HEAD, POST'],
    ['POST', '/buckets/b', 'DELETE, GET, HEAD, PUT'],
    ['DELETE', '/buckets', 'GET, HEAD'],
    ['POST', '/admin/status', 'GET, HEAD'],
    ['DELETE', '/livez', 'GET, HEAD'],
    ['PUT', '/', 'GET, HEAD']
  ] as const
  for (const [method, path, allow] of allowed) {
    const answer = await send(n1, method, path, { body: 'x' })
    expectProblem(answer, 405, 'method_not_allowed')
    assert.equal(answer.headers['allow'], allow, `${method} ${path}`)
  }
})

test('every answer has a Request-Id, the own one of the client where it is fit to be logged', async () => {
  const paths = [
    '/kv/b/k',
    '/kv/b/none',
    '/kv/b/%FF',
    '/nope',
    '/livez',
    '/admin/ring',
    '/kv/b/k?x=1'
  ]
  const seen = new Set<string>()
  for (const path of paths) {
    for (const url of [n1, n2]) {
      const answer = await send(url, 'GET', path)
      const id = answer.headers['request-id'] ?? ''
      assert.match(id, /^[\w-]{4,64}$/, path)
      assert.ok(!seen.has(id), `${id} twice`)
      seen.add(id)
      assert.equal(answer.headers['x-coordinator'], url === n1 ? 'n1' : 'n2')
    }
    for (const header of ['Request-Id', 'X-Request-Id']) {
      const echoed = await send(n1, 'GET', path, { headers: { [header]: 'mine-42/ä'.slice(0, 7) } })
      assert.equal(echoed.headers['request-id'], 'mine-42')
    }
  }
  for (const unfit of ['with space', 'x'.repeat(65), '']) {
    const answer = await send(n1, 'GET', '/livez', { headers: { 'Request-Id': unfit } })
    assert.match(answer.headers['request-id'] ?? '', /^n1-/)
  }
  assert.equal(jsonOf(await send(n1, 'GET', '/kv/b/none'))['status'], 404)
})
