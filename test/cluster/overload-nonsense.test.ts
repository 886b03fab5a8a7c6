import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { jsonOf, sendJson } from './http-request.ts'
import { call, contextOf, describe, get, problemOf, put } from './kv-client.ts'
import { residentMib } from './process-memory.ts'
import { RawConnection } from './raw-connection.ts'
import type { ServerProcess } from './server-process.ts'

const mebi = 1024 * 1024
const residentMibMax = 500

let cluster: ClusterProcess
let node: ServerProcess

before(async () => {
  const set = [
    'replication.n=1',
    'http.requestTimeoutMs=1000',
    'http.defaultTimeoutMs=900',
    'limits.maxInFlightBytes=8MiB'
  ]
  cluster = await ClusterProcess.start({ nodes: 1, set })
  node = cluster.node(1)
})

after(() => cluster?.stop())

async function assertHealthy(): Promise<void> {
  const key = `/kv/healthy/${randomBytes(4).toString('hex')}`
  const written = await put(node.url, key, 'well')
  assert.equal(written.status, 204, describe(written))
  assert.equal((await get(node.url, key)).body.toString(), 'well')
  assert.equal(await node.readiness(), 200)
  const { now } = await residentMib(node.pid)
  assert.ok(now < residentMibMax, `${Math.round(now)} MiB are in use`)
}

function open(): Promise<RawConnection> {
  return RawConnection.open(node.url)
}

/** Checks that the answer is one of ours: a problem with this status and code. */
function assertProblem(answer: string, status: number, code: string): void {
  assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer.slice(0, 300))
  assert.match(answer, /content-type: application\/problem\+json/i, answer.slice(0, 300))
  assert.ok(answer.includes(`"code":"${code}"`), answer.slice(0, 300))
}

test('bytes that are no HTTP are answered as every other error', async () => {
  for (const bytes of [randomBytes(4096), 'GET\r\n\r\n', 'HELLO / SPAM/9\r\n\r\n']) {
    const connection = await open()
    assertProblem(await connection.send(bytes).closed(), 400, 'bad_request')
  }
  await assertHealthy()
})

test('headers beyond all measure are 431', async () => {
  const connection = await open()
  connection.send('GET /livez HTTP/1.1\r\nHost: a\r\n')
  connection.send(`X-Long: ${'x'.repeat(300_000)}\r\n\r\n`)
  assertProblem(await connection.closed(), 431, 'headers_too_large')
  await assertHealthy()
})

test('a request that stops half way is told so and hung up on', async () => {
  const halves = {
    'in its headers': 'PUT /kv/a/half HTTP/1.1\r\nHost: a\r\nX-Slow: ',
    'in its body': 'PUT /kv/a/half HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf of it',
    'in a chunk': 'PUT /kv/a/half HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nha'
  }
  const hangUp = async ([where, half]: [string, string]) => {
    const startedMs = performance.now()
    const answer = await (await open()).send(half).closed()
    assertProblem(answer, 408, 'request_timeout')
    const ms = performance.now() - startedMs
    assert.ok(ms < 5000, `half ${where} was put up with for ${ms} ms, the limit is 1000`)
  }
  await Promise.all(Object.entries(halves).map(hangUp))
  assert.equal((await get(node.url, '/kv/a/half')).status, 404)
  await assertHealthy()
})

test('clients that break off in a body leave nothing behind', async () => {
  const head = `PUT /kv/a/broken HTTP/1.1\r\nHost: a\r\nContent-Length: ${mebi}\r\n\r\n`
  const body = Buffer.alloc(mebi / 2)
  for (let round = 0; round < 8; round++) {
    const connections = await Promise.all(Array.from({ length: 4 }, open))
    for (const connection of connections) connection.send(head).send(body)
    for (const connection of connections) connection.destroy()
    await Promise.all(connections.map((connection) => connection.closed()))
  }
  await node.until('forgot the broken bodies', async () => (await bytesInFlight()) === 0)
  await assertHealthy()
})

test('clients that stop reading an answer hold no more than the limit', async () => {
  const value = randomBytes(mebi)
  assert.equal((await put(node.url, '/kv/a/large', value)).status, 204)
  const deaf = await Promise.all(Array.from({ length: 10 }, open))
  const request = 'GET /kv/a/large HTTP/1.1\r\nHost: a\r\n\r\n'
  for (const connection of deaf) {
    connection.socket.pause()
    // The first ones still fit what the system buffers.
    connection.send(request.repeat(20))
  }
  try {
    await node.until('holds answers', async () => (await bytesInFlight()) >= mebi)
    assert.ok((await bytesInFlight()) <= 8 * mebi)
    await assertHealthy()
  } finally {
    for (const connection of deaf) connection.destroy()
  }
  await node.until('forgot the deaf', async () => (await bytesInFlight()) === 0)
  assert.ok((await get(node.url, '/kv/a/large')).body.equals(value))
})

test('a batch that asks for more than the limit is given what there is room for', async () => {
  const key = { bucket: 'batched', key: 'large' }
  const written = await put(node.url, '/kv/batched/large', randomBytes(mebi))
  assert.equal(written.status, 204, describe(written))
  const ops = [
    ...Array.from({ length: 40 }, () => ({ op: 'get', ...key })),
    { op: 'put', bucket: 'batched', key: 'small', value: 'bWlsaw==' }
  ]
  for (const round of ['once', 'again']) {
    const answer = await sendJson(node.url, 'POST', '/kv/batch', { ops })
    assert.equal(answer.status, 200)
    const { results } = jsonOf<{ results: { status: number; code?: string }[] }>(answer)
    const count = (wanted: string | number) =>
      results.filter(({ status, code }) => (code ?? status) === wanted).length
    const found = count(200)
    assert.ok(found >= 1 && found * mebi < 8 * mebi, `${found} values of 1 MiB, ${round}`)
    assert.equal(count('overloaded'), 40 - found, round)
    assert.equal(results.at(-1)?.status, 204, round)
  }
  await assertHealthy()
})

test('clients that leave before their answers leave nothing behind', async () => {
  assert.equal((await put(node.url, '/kv/a/left', Buffer.alloc(mebi))).status, 204)
  const read = 'GET /kv/a/left HTTP/1.1\r\nHost: a\r\n\r\n'
  // A write that answers with a large value, which is known only once the disk has confirmed it.
  const write = 'PUT /kv/a/left?return=body HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1'
  for (let round = 0; round < 20; round++) {
    const hasty = await open()
    hasty.send(round % 2 === 0 ? read.repeat(6) : write)
    if (round > 10) await hasty.receivedTimes('HTTP', 1)
    hasty.destroy()
  }
  await node.until('forgot those who left', async () => (await bytesInFlight()) === 0)
  await assertHealthy()
})

test('pipelined requests are answered in their order', async () => {
  const connection = await open()
  const order = Array.from({ length: 100 }, (_, i) => i)
  const puts = order.map((i) => {
    const value = `value ${i}.`
    return `PUT /kv/pipe/${i} HTTP/1.1\r\nHost: a\r\nContent-Length: ${value.length}\r\n\r\n${value}`
  })
  await connection.send(puts.join('')).receivedTimes('HTTP/1.1 204', 100)
  const gets = order.map(
    (i) => `GET /kv/pipe/${i} HTTP/1.1\r\nHost: a\r\nRequest-Id: id-${i}\r\n\r\n`
  )
  const answers = await connection.send(gets.join('')).receivedTimes('value ', 100)
  const numbers = (pattern: RegExp) => [...answers.matchAll(pattern)].map(([, i]) => Number(i))
  assert.deepEqual(numbers(/request-id: id-(\d+)/gi), order)
  assert.deepEqual(numbers(/value (\d+)\./g), order)
  connection.destroy()
})

test('JSON that is none is a bad_body', async () => {
  for (const value of ['{"ops":', '[]', '"', '{"ops":{}}', randomBytes(200)]) {
    const connection = await open()
    connection.send('POST /kv/batch HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n')
    connection.send(`Connection: close\r\nContent-Length: ${value.length}\r\n\r\n`)
    const answer = await connection.send(value).closed()
    assertProblem(answer, 400, 'bad_body')
  }
  await assertHealthy()
})

test('ten thousand connections that say nothing are put up with', async () => {
  const connections: RawConnection[] = []
  try {
    for (let i = 0; i < 20; i++) {
      connections.push(...(await Promise.all(Array.from({ length: 500 }, open))))
    }
    await assertHealthy()
  } finally {
    for (const connection of connections) connection.destroy()
  }
  await assertHealthy()
})

test('siblings that are too many to be held are refused, and can be read and settled', async () => {
  const path = '/kv/a/crowded'
  const value = randomBytes(mebi)
  await node.end('SIGTERM')
  await node.start(['limits.maxValueBytes=4MiB'])
  for (let i = 0; i < 12; i++) assert.equal((await put(node.url, path, value)).status, 204)
  const refused = await put(node.url, path, value)
  assert.equal(refused.status, 409, describe(refused))
  assert.equal(problemOf(refused)['code'], 'too_many_siblings')
  await node.end('SIGTERM')
  await node.start()
  const read = await get(node.url, path)
  assert.equal(read.status, 300, describe(read))
  const settled = await put(node.url, path, value, contextOf(read))
  assert.equal(settled.status, 204, describe(settled))
  assert.ok((await get(node.url, path)).body.equals(value))
})

async function bytesInFlight(): Promise<number> {
  const { body } = await call(node.url, '/metrics')
  return Number(/^anneal_http_bytes_in_flight (\d+)/m.exec(body.toString())?.[1] ?? Number.NaN)
}
