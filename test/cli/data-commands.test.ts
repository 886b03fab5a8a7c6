import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeUrls } from '../../server/cli/options.ts'
import { sendMissing, sendProblem, sendSiblings, sendValue, startFakeNode } from './fake-node.ts'
import { run } from './fake-terminal.ts'

test('get writes the bytes of the value and nothing else', async (t) => {
  const node = await startFakeNode(t, (_, response) => sendValue(response, '\u0000\u00ff\n', 'c1'))
  const outcome = await run([
    'get',
    'b/1',
    'k k',
    '--node',
    node.url,
    '--r',
    'all',
    '--context',
    'c0'
  ])
  assert.deepEqual(outcome, { exitCode: 0, stdout: '\u0000\u00c3\u00bf\n', stderr: '' })
  assert.equal(node.requests[0]?.url, '/kv/b%2F1/k%20k?r=all')
  assert.equal(node.requests[0]?.headers['causal-context'], 'c0')
})

test('get adds a newline on a terminal only, and only where there is none', async (t) => {
  const node = await startFakeNode(t, (request, response) =>
    sendValue(response, request.url.endsWith('ends') ? 'x\n' : 'x', 'c')
  )
  const env = { ANNEAL_NODE: node.url }
  const get = async (key: string, isInteractive: boolean): Promise<string> =>
    (await run(['get', 'b', key], { env, isInteractive })).stdout
  assert.equal(await get('k', true), 'x\n')
  assert.equal(await get('ends', true), 'x\n')
  assert.equal(await get('k', false), 'x')
})

test('get --json gives one document, with the value in base64', async (t) => {
  const node = await startFakeNode(t, (_, response) => sendValue(response, 'hello', 'c1'))
  const { exitCode, stdout } = await run(['get', 'b', 'k', '--json', '--node', node.url])
  assert.equal(exitCode, 0)
  assert.deepEqual(JSON.parse(stdout), {
    bucket: 'b',
    key: 'k',
    found: true,
    value: Buffer.from('hello').toString('base64'),
    contentType: 'text/x-test',
    meta: { colour: 'blue' },
    etag: '"e1"',
    lastModified: '',
    context: 'c1'
  })
})

test('get tells a key that never was from one that was deleted', async (t) => {
  const node = await startFakeNode(t, (request, response) =>
    sendMissing(response, request.url.endsWith('gone') ? 'c9' : undefined)
  )
  const env = { ANNEAL_NODE: node.url }
  const never = await run(['get', 'b', 'k'], { env })
  assert.deepEqual([never.exitCode, never.stdout], [1, ''])
  assert.match(never.stderr, /b\/k has no value: there is no such key/)
  assert.match((await run(['get', 'b', 'gone'], { env })).stderr, /it was deleted/)
  const { exitCode, stdout } = await run(['get', 'b', 'gone', '--json'], { env })
  assert.equal(exitCode, 1)
  const expected = { bucket: 'b', key: 'gone', found: false, deleted: true, context: 'c9' }
  assert.deepEqual(JSON.parse(stdout), expected)
})

test('get lists siblings on stderr and fails; --json has them whole', async (t) => {
  const node = await startFakeNode(t, (_, response) =>
    sendSiblings(response, ['one', 'two\u001b[2J'], 'c2')
  )
  const plain = await run(['get', 'b', 'k', '--node', node.url])
  assert.deepEqual([plain.exitCode, plain.stdout], [1, ''])
  assert.match(plain.stderr, /"e0" +3 bytes .*one\n/)
  assert.match(plain.stderr, /b\/k has 2 values.*anneal put/)
  assert.ok(!plain.stderr.includes('\u001b'), 'a value cannot steer the terminal')

  const document = await run(['get', 'b', 'k', '--json', '--node', node.url])
  assert.equal(document.exitCode, 1)
  const { siblings, context } = JSON.parse(document.stdout)
  assert.equal(context, 'c2')
  assert.equal(Buffer.from(siblings[0].value, 'base64').toString(), 'one')
})

test('put reads the context first and sends it along', async (t) => {
  const node = await startFakeNode(t, (request, response) => {
    if (request.method === 'GET') sendValue(response, 'old', 'c1')
    else response.writeHead(204, { 'causal-context': 'c2', etag: '"e2"' }).end()
  })
  const outcome = await run(['put', 'b', 'k', 'new', '--w', '2', '--node', node.url])
  assert.deepEqual(outcome, { exitCode: 0, stdout: 'stored 3 bytes as b/k\n', stderr: '' })
  const write = node.requests[1]
  assert.equal(write?.url, '/kv/b/k?w=2')
  assert.equal(write?.body, 'new')
  assert.equal(write?.headers['causal-context'], 'c1')
})

test('get, put and delete take the same quorums, each where it has a meaning', async (t) => {
  const node = await startFakeNode(t, (request, response) => {
    if (request.method === 'GET') sendValue(response, 'old', 'c1')
    else response.writeHead(204, { 'causal-context': 'c2', etag: '"e2"' }).end()
  })
  const quorums = ['--r', 'all', '--w', '1', '--node', node.url]
  for (const command of [
    ['get', 'b', 'k'],
    ['put', 'b', 'k', 'new'],
    ['delete', 'b', 'k']
  ]) {
    assert.equal((await run([...command, ...quorums])).exitCode, 0)
  }
  const asked = node.requests.map(({ method, url }) => `${method} ${url}`)
  assert.deepEqual(asked, [
    'GET /kv/b/k?r=all',
    'GET /kv/b/k?r=all',
    'PUT /kv/b/k?w=1',
    'GET /kv/b/k?r=all',
    'DELETE /kv/b/k?w=1'
  ])
})

test('put onto siblings settles them and says so', async (t) => {
  const node = await startFakeNode(t, (request, response) => {
    if (request.method === 'GET') sendSiblings(response, ['a', 'b'], 'c2')
    else response.writeHead(204, { 'causal-context': 'c3', etag: '"e3"' }).end()
  })
  const { stdout, stderr, exitCode } = await run([
    'put',
    'b',
    'k',
    'x',
    '--json',
    '--node',
    node.url
  ])
  assert.equal(exitCode, 0)
  assert.match(stderr, /settled 2 values/)
  const expected = { bucket: 'b', key: 'k', context: 'c3', etag: '"e3"', siblingsSettled: 2 }
  assert.deepEqual(JSON.parse(stdout), expected)
  assert.equal(node.requests[1]?.headers['causal-context'], 'c2')
})

test('put and delete do not read with --blind, nor with --context', async (t) => {
  const node = await startFakeNode(t, (_, response) => response.writeHead(204).end())
  const env = { ANNEAL_NODE: node.url }
  assert.equal((await run(['put', 'b', 'k', '-', '--blind'], { env, stdin: 'piped' })).exitCode, 0)
  assert.equal((await run(['delete', 'b', 'k', '--context', 'c7'], { env })).exitCode, 0)
  const seen = node.requests.map(({ method, headers, body }) => [
    method,
    headers['causal-context'],
    body
  ])
  assert.deepEqual(seen, [
    ['PUT', undefined, 'piped'],
    ['DELETE', 'c7', '']
  ])
})

test('delete covers what was read, a deleted key included', async (t) => {
  const node = await startFakeNode(t, (request, response) => {
    if (request.method === 'GET') sendMissing(response, 'c1')
    else response.writeHead(204, { 'causal-context': 'c2' }).end()
  })
  const outcome = await run(['delete', 'b', 'k', '--node', node.url])
  assert.deepEqual(outcome, { exitCode: 0, stdout: 'deleted b/k\n', stderr: '' })
  assert.equal(node.requests[1]?.headers['causal-context'], 'c1')
})

test('a cluster that cannot do it now gives 3, any other refusal 1', async (t) => {
  const refusals = [
    [503, 'quorum_unavailable', 3],
    [504, 'timeout', 3],
    [507, 'disk_full', 3],
    [400, 'bad_key', 1],
    [404, 'no_such_route', 1]
  ] as const
  for (const [status, code, exitCode] of refusals) {
    const node = await startFakeNode(t, (_, response) => sendProblem(response, status, code))
    const outcome = await run(['get', 'b', 'k', '--node', node.url])
    assert.deepEqual([outcome.exitCode, outcome.stdout], [exitCode, ''])
    assert.match(outcome.stderr, new RegExp(`this is ${code} \\(${code}\\)`))
    const document = await run(['get', 'b', 'k', '--json', '--node', node.url])
    assert.equal(JSON.parse(document.stdout).error.code, code)
  }
})

test('wrong usage gives 2 and asks nobody', async (t) => {
  const node = await startFakeNode(t, (_, response) => response.end())
  const env = { ANNEAL_NODE: node.url }
  const wrong = [
    [],
    ['frobnicate'],
    ['get', 'b'],
    ['get', 'b', 'k', 'x'],
    ['get', 'b', 'k', '--r', '0'],
    ['get', 'b', 'k', '--r', 'most'],
    ['get', 'b', 'k', '--node', 'http://'],
    ['put', 'b', 'k', 'v', '--blind', '--context', 'c'],
    ['put', 'b', 'k'],
    ['demo', '--nodes', '0'],
    ['demo', '--http-port', '9801'],
    ['demo', '--http-port', '65535'],
    ['start', '--set', 'nonsense']
  ]
  for (const args of wrong) {
    const outcome = await run(args, { env, stdin: null })
    assert.equal(outcome.exitCode, 2, args.join(' '))
    assert.equal(outcome.stdout, '', args.join(' '))
    assert.notEqual(outcome.stderr, '', args.join(' '))
  }
  assert.equal(node.requests.length, 0)
})

test('the node to ask is that of the flag, else of the environment where that names one', () => {
  const usual = ['http://127.0.0.1:8801']
  assert.deepEqual(nodeUrls({}, { env: {} }), usual)
  assert.deepEqual(nodeUrls({}, { env: { ANNEAL_NODE: '' } }), usual)
  assert.deepEqual(nodeUrls({}, { env: { ANNEAL_NODE: 'a:1, b:2' } }), ['a:1', 'b:2'])
  assert.deepEqual(nodeUrls({ node: 'c:3' }, { env: { ANNEAL_NODE: 'a:1' } }), ['c:3'])
})
