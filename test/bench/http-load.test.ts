import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { LatencyHistogram } from '../../server/bench/histogram.ts'
import {
  type LoadControls,
  type LoadPlan,
  type LoadResult,
  runLoad
} from '../../server/bench/http-load.ts'
import { StubServer } from './stub-server.ts'

const connections = 4

async function withStub(body: (stub: StubServer) => Promise<void>): Promise<void> {
  const stub = new StubServer()
  await stub.listen()
  try {
    await body(stub)
  } finally {
    await stub.close()
  }
}

function planOf(port: number, changes: Partial<LoadPlan> = {}): LoadPlan {
  return {
    targets: [{ host: '127.0.0.1', port }],
    operation: 'put',
    bucket: 'b c',
    keys: { kind: 'each', from: 0, to: 500 },
    valueBytes: 100,
    connections: { first: 0, count: connections },
    durationMs: null,
    timeoutMs: 60_000,
    ...changes
  }
}

function succeeded(result: LoadResult): number {
  const latency = new LatencyHistogram()
  latency.merge(result.latency)
  return latency.count
}

test('each key is written once, over connections that are kept', () =>
  withStub(async (stub) => {
    const result = await runLoad(planOf(stub.port))
    assert.equal(succeeded(result), 500)
    assert.equal(stub.count('PUT'), 500)
    assert.deepEqual(result.errors, new Map())
    assert.equal(result.reconnects, 0)
    assert.equal(stub.pathsBySocket.size, connections)
    assert.equal(stub.values.size, 500)
    assert.ok(stub.values.has('/kv/b%20c/key-0000000000'))
    assert.ok(stub.values.has('/kv/b%20c/key-0000000499'))
    const values = [...stub.values.values()]
    assert.ok(values.every((value) => value.length === 100))
    assert.equal(new Set(values.map((value) => value.toString('hex'))).size, 500)
    assert.ok(result.elapsedMs > 0)
  }))

test('every operation that began before the time was up is answered and counted', () =>
  withStub(async (stub) => {
    await runLoad(planOf(stub.port, { keys: { kind: 'each', from: 0, to: 10 } }))
    const result = await runLoad(
      planOf(stub.port, {
        operation: 'get',
        keys: { kind: 'random', count: 10, seed: 7 },
        durationMs: 100
      })
    )
    assert.ok(succeeded(result) >= connections)
    assert.equal(succeeded(result), stub.count('GET'))
    assert.deepEqual(result.errors, new Map())
  }))

test('connections are spread over the targets by their numbers', () =>
  withStub((one) =>
    withStub(async (other) => {
      const targets = [one, other].map((stub) => ({ host: '127.0.0.1', port: stub.port }))
      await runLoad(planOf(0, { targets, connections: { first: 3, count: 3 } }))
      assert.equal(one.pathsBySocket.size, 1)
      assert.equal(other.pathsBySocket.size, 2)
    })
  ))

test('an update writes with the context that it has read', () =>
  withStub(async (stub) => {
    await runLoad(planOf(stub.port, { operation: 'create' }))
    const contexts: unknown[] = []
    stub.intercept = (request) => {
      if (request.method === 'PUT') contexts.push([request.url, request.headers['causal-context']])
      return false
    }
    const result = await runLoad(planOf(stub.port, { operation: 'update' }))
    assert.equal(succeeded(result), 500)
    assert.equal(contexts.length, 500)
    for (const [path, context] of contexts as [string, string][]) {
      assert.equal(context, `context-of-${path}`)
    }
    assert.ok([...stub.values.values()].every((value) => value.length === 100))
  }))

test('answers of 400 and above are errors by their status, and no latencies', () =>
  withStub(async (stub) => {
    stub.intercept = (_request, response, count) => {
      if (count % 5 !== 0) return false
      response.writeHead(count % 2 === 0 ? 503 : 409, { 'content-length': 4 }).end('oops')
      return true
    }
    const result = await runLoad(planOf(stub.port))
    assert.equal(succeeded(result), 400)
    assert.deepEqual(result.errors, new Map(Object.entries({ 409: 50, 503: 50 })))
    assert.equal(stub.pathsBySocket.size, connections)
  }))

test('siblings are an answer; a missing key or a value of another length is an error', () =>
  withStub(async (stub) => {
    await runLoad(planOf(stub.port, { keys: { kind: 'each', from: 0, to: 499 } }))
    stub.intercept = (request, response) => {
      if (request.url?.endsWith('1') === true)
        response.writeHead(300, { 'content-length': 0 }).end()
      else if (request.url?.endsWith('2') === true)
        response.setHeader('content-length', 2).end('no')
      return response.headersSent
    }
    const result = await runLoad(planOf(stub.port, { operation: 'get' }))
    assert.deepEqual(result.errors, new Map(Object.entries({ 404: 1, wrong_length: 50 })))
    assert.equal(succeeded(result), 449)
  }))

test('a connection closed instead of an answer is an error, and another one goes on', () =>
  withStub(async (stub) => {
    stub.intercept = (request, response, count) => {
      if (count % 50 === 0) request.socket.destroy()
      else if (count % 50 === 25) {
        response.writeHead(200, { 'content-length': 10 }).write('half')
        request.socket.end()
      }
      return count % 25 === 0
    }
    const result = await runLoad(planOf(stub.port))
    assert.equal(stub.count('PUT'), 500)
    assert.equal(succeeded(result), 480)
    assert.deepEqual(result.errors, new Map(Object.entries({ closed: 20 })))
    assert.equal(result.reconnects, 20)
  }))

test('a server that closes after every answer loses no operation', () =>
  withStub(async (stub) => {
    stub.intercept = (_request, response) => {
      response.setHeader('connection', 'close')
      return false
    }
    const result = await runLoad(planOf(stub.port, { keys: { kind: 'each', from: 0, to: 40 } }))
    assert.equal(succeeded(result), 40)
    assert.deepEqual(result.errors, new Map())
    assert.equal(result.reconnects, 40)
  }))

test('an operation without an answer ends with its time limit', () =>
  withStub(async (stub) => {
    stub.intercept = (_request, _response, count) => count === 1
    const keys = { kind: 'each', from: 0, to: 20 } as const
    const result = await runLoad(planOf(stub.port, { keys, timeoutMs: 1000 }))
    assert.deepEqual(result.errors, new Map(Object.entries({ timeout: 1 })))
    assert.equal(succeeded(result), 19)
  }))

test('an unreachable server is an error and ends with the run', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  const result = await runLoad(planOf(port, { durationMs: 50 }))
  assert.equal(succeeded(result), 0)
  assert.deepEqual([...result.errors.keys()], ['connect'])
})

test('what is no HTTP is an error of its own', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('220 mail.example ESMTP\r\n\r\n'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const result = await runLoad(planOf(port, { keys: { kind: 'each', from: 0, to: 8 } }))
  assert.deepEqual(
    result.errors,
    new Map(Object.entries({ 'malformed: not a final HTTP/1.1 response': 8 }))
  )
  await once(server.close(), 'close')
})

test('latencies are told for each section, and a run without end ends when it is told to', () =>
  withStub(async (stub) => {
    let controls: LoadControls | null = null
    stub.intercept = (_request, _response, count) => {
      if (count === 100 || count === 250) controls?.mark()
      if (count === 300) controls?.finish()
      return false
    }
    const endless = planOf(stub.port, { keys: { kind: 'random', count: 50, seed: 1 } })
    const result = await runLoad(endless, (started) => {
      controls = started
    })
    const counts = result.sections.map((section) => succeeded({ ...result, latency: section }))
    assert.equal(counts.length, 3)
    // What is under way at a mark is counted where it ends.
    assert.ok(Math.abs((counts[0] ?? 0) - 100) <= connections, String(counts))
    assert.ok(Math.abs((counts[1] ?? 0) - 150) <= connections, String(counts))
    assert.equal(stub.count('PUT'), succeeded(result))
    assert.ok(stub.count('PUT') <= 300 + connections)
  }))

test('a load with a rate takes the time that it takes, and does all of it', () =>
  withStub(async (stub) => {
    const keys = { kind: 'each', from: 0, to: 100 } as const
    const result = await runLoad(planOf(stub.port, { keys, opsPerSecond: 500 }))
    assert.equal(succeeded(result), 100)
    // The last of a hundred turns is due 198 ms after the first.
    assert.ok(result.elapsedMs >= 197, String(result.elapsedMs))
  }))
