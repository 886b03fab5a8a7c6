import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnnealClient } from '../../client/client.ts'
import { AnnealClientError } from '../../client/client-error.ts'
import {
  deadAddress,
  sendJson,
  sendMissing,
  sendProblem,
  sendSiblings,
  sendValue,
  startFakeNode
} from './fake-node.ts'

const nobody = `http://${deadAddress}`

async function failure(call: Promise<unknown>): Promise<AnnealClientError> {
  try {
    await call
  } catch (thrown) {
    assert.ok(thrown instanceof AnnealClientError, String(thrown))
    return thrown
  }
  return assert.fail('this call is to fail')
}

test('a value comes with everything the server says about it', async (t) => {
  const node = await startFakeNode(t, (_, response) => sendValue(response, 'v', 'c1'))
  const result = await new AnnealClient({ nodes: [node.url] }).get('b', 'k')
  assert.equal(result.kind, 'value')
  assert.ok(result.kind === 'value')
  assert.equal(Buffer.from(result.value).toString(), 'v')
  assert.equal(result.context, 'c1')
  assert.deepEqual([...result.meta], [['colour', 'blue']])
})

test('siblings and missing keys are results, not errors', async (t) => {
  const node = await startFakeNode(t, (request, response) => {
    if (request.url.endsWith('/many')) sendSiblings(response, ['\u00e9', ''], 'c1')
    else sendMissing(response, request.url.endsWith('/gone') ? 'c2' : undefined)
  })
  const client = new AnnealClient({ nodes: [node.url] })
  const many = await client.get('b', 'many')
  assert.ok(many.kind === 'siblings')
  assert.deepEqual(
    many.siblings.map(({ value }) => Buffer.from(value).toString()),
    ['\u00e9', '']
  )
  const gone = { kind: 'missing', deleted: true, context: 'c2' }
  assert.deepEqual(await client.get('b', 'gone'), gone)
  assert.deepEqual(await client.head('b', 'gone'), gone)
  const never = { kind: 'missing', deleted: false, context: null }
  assert.deepEqual(await client.get('b', 'never'), never)
})

test('put sends what it is given and returns what it can be followed up with', async (t) => {
  const node = await startFakeNode(t, (_, response) =>
    response.writeHead(204, { 'causal-context': 'c2', etag: '"e"' }).end()
  )
  const client = new AnnealClient({ nodes: [`${node.url}/`] })
  const meta = new Map([['colour', 'red']])
  const options = {
    context: 'c1',
    contentType: 'a/b',
    meta,
    ttlSeconds: 5,
    w: 'all',
    sloppy: false
  }
  const result = await client.put('b', 'k', 'v', { ...options, w: 'all' })
  assert.deepEqual(result, { context: 'c2', etag: '"e"' })
  const [request] = node.requests
  assert.equal(request?.url, '/kv/b/k?sloppy=false&w=all&ttl=5')
  assert.equal(request?.headers['content-type'], 'a/b')
  assert.equal(request?.headers['x-meta-colour'], 'red')
  assert.equal(request?.headers['causal-context'], 'c1')
})

test('batch encodes values, list turns pages', async (t) => {
  const node = await startFakeNode(t, (request, response) => {
    if (request.method === 'POST') sendJson(response, 200, { results: [{ status: 204 }] })
    else sendJson(response, 200, { keys: ['a', 'b'], cursor: 'next' })
  })
  const client = new AnnealClient({ nodes: [node.url] })
  const value = Buffer.from('v')
  const results = await client.batch([{ op: 'put', bucket: 'b', key: 'k', value }])
  assert.equal(results[0]?.status, 204)
  const { ops } = JSON.parse(node.requests[0]?.body ?? '')
  assert.deepEqual(ops, [{ op: 'put', bucket: 'b', key: 'k', value: 'dg==' }])
  const page = await client.list('b', { prefix: 'x y', limit: 2 })
  assert.deepEqual(page, { keys: ['a', 'b'], cursor: 'next' })
  assert.equal(node.requests[1]?.url, '/kv/b?prefix=x+y&limit=2')
})

test('an error carries the fields of the problem', async (t) => {
  const node = await startFakeNode(t, (_, response) =>
    sendJson(response, 503, { code: 'quorum_unavailable', title: 't', detail: 'd', needed: 2 })
  )
  const error = await failure(new AnnealClient({ nodes: [node.url] }).put('b', 'k', 'v'))
  assert.deepEqual([error.code, error.status, error.message], ['quorum_unavailable', 503, 'd'])
  assert.equal(error.problem['needed'], 2)
  assert.equal(error.node, node.url)
})

test('the next node is tried when one is gone or not ready, and kept', async (t) => {
  const good = await startFakeNode(t, (_, response) => sendValue(response, 'v', 'c'))
  const unready = await startFakeNode(t, (_, response) => sendProblem(response, 503, 'not_ready'))
  for (const bad of [nobody, unready.url]) {
    const client = new AnnealClient({ nodes: [bad, good.url] })
    assert.equal((await client.get('b', 'k')).kind, 'value')
    await client.put('b', 'k', 'v')
  }
  assert.equal(unready.requests.length, 1)
  assert.equal(good.requests.length, 4)
})

test('a head that is refused without a reason is tried elsewhere', async (t) => {
  const unready = await startFakeNode(t, (_, response) => response.writeHead(503).end())
  const good = await startFakeNode(t, (_, response) => sendValue(response, '', 'c'))
  const client = new AnnealClient({ nodes: [unready.url, good.url] })
  assert.equal((await client.head('b', 'k')).kind, 'value')
})

test('only one further node is tried', async (t) => {
  const good = await startFakeNode(t, (_, response) => sendValue(response, 'v', 'c'))
  const client = new AnnealClient({ nodes: [nobody, nobody, good.url] })
  assert.equal((await failure(client.get('b', 'k'))).code, 'unreachable')
})

test('a write that may have arrived is not repeated, a read is', async (t) => {
  const cut = await startFakeNode(t, (_, response) => response.destroy())
  const good = await startFakeNode(t, (_, response) => sendValue(response, 'v', 'c'))
  const nodes = [cut.url, good.url]
  const error = await failure(new AnnealClient({ nodes }).put('b', 'k', 'v'))
  assert.deepEqual([error.code, error.sent], ['unreachable', true])
  assert.equal(good.requests.length, 0)
  assert.equal((await new AnnealClient({ nodes }).get('b', 'k')).kind, 'value')
  const unsent = await failure(new AnnealClient({ nodes: [nobody] }).put('b', 'k', 'v'))
  assert.equal(unsent.sent, false)
})

test('a node that never answers is given up', async (t) => {
  const silent = await startFakeNode(t, () => {})
  const client = new AnnealClient({ nodes: [silent.url], timeoutMs: 50 })
  assert.match((await failure(client.status())).message, /no answer in time/)
})

test('a call is waited for longer than the server may take, and never shorter than usual', async (t) => {
  const node = await startFakeNode(t, (request, response) => {
    if (request.method === 'POST') sendJson(response, 200, { results: [] })
    else if (request.method === 'GET') sendValue(response, 'v', 'c1')
    else response.writeHead(204).end()
  })
  const timeout = t.mock.method(AbortSignal, 'timeout')
  const client = new AnnealClient({ nodes: [node.url], timeoutMs: 8000 })
  const calls = [
    (timeoutMs?: number) => client.get('b', 'k', { timeoutMs }),
    (timeoutMs?: number) => client.put('b', 'k', 'v', { timeoutMs }),
    (timeoutMs?: number) => client.delete('b', 'k', { timeoutMs }),
    (timeoutMs?: number) => client.batch([], { timeoutMs })
  ]
  for (const call of calls) {
    for (const [timeoutMs, waitedAtLeast] of [
      [undefined, 8000],
      [1, 8000],
      [60_000, 60_001]
    ] as const) {
      timeout.mock.resetCalls()
      await call(timeoutMs)
      const waited = timeout.mock.calls.map((one) => one.arguments[0])
      assert.equal(waited.length, 1)
      assert.ok((waited[0] ?? 0) >= waitedAtLeast, `${waited} ms for ${timeoutMs}`)
    }
  }
})
