import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RepairRunStatus } from '../../client/repair-types.ts'
import { sendJson, sendProblem, startFakeNode } from './fake-node.ts'
import { run } from './fake-terminal.ts'

const counts = {
  keysCompared: 900,
  differences: 12,
  rowsSent: 5,
  rowsReceived: 7,
  rowsToShip: 0,
  bytesSent: 1000,
  bytesReceived: 1048,
  indexBytes: 3000,
  dataBytes: 2048,
  roundTrips: 6
}

const finished: RepairRunStatus = {
  ...counts,
  id: 'r1',
  mode: 'incremental',
  dryRun: false,
  state: 'done',
  reason: null,
  partitions: { done: 16, total: 16 },
  skipped: [],
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:00:02.500Z',
  etaSeconds: null
}

const background = {
  state: 'running',
  reason: null,
  bytesPerSecond: 1048576,
  bytesPerSecondMax: 1048576,
  intervalSeconds: 60
}

/** A node whose repair goes through these states, one at each question. */
function startNode(t: TestContext, states: readonly Partial<RepairRunStatus>[]) {
  let asked = 0
  return startFakeNode(t, ({ method, url }, response) => {
    const key = `${method} ${url}`
    if (key === 'POST /admin/repair') return sendJson(response, 202, { id: 'r1' })
    if (key === 'GET /admin/repair/r1') {
      const state = states[Math.min(asked++, states.length - 1)]
      return sendJson(response, 200, { ...finished, ...state })
    }
    if (key === 'DELETE /admin/repair/r1') {
      return sendJson(response, 200, { ...finished, state: 'cancelled' })
    }
    if (key === 'POST /admin/repair/pause') {
      const reason = 'paused by an operator'
      return sendJson(response, 200, { ...background, state: 'paused', reason })
    }
    if (key === 'GET /admin/repair') {
      return sendJson(response, 200, {
        background,
        summary: { oldestEqualSeconds: 41, neverEqual: 0, partitions: { equal: 30, waiting: 2 } },
        peers: [
          { peer: 'n2', up: true, partitions: 16, early: 1, reason: 'next round in 12 s' },
          { peer: 'n3', up: false, partitions: 16, early: 0, reason: 'n3 is down\u001b[2J' }
        ],
        exchanges: [],
        runs: [],
        partitions: []
      })
    }
    return sendProblem(response, 404, 'no_such_route')
  })
}

const running = { state: 'running', finishedAt: null, etaSeconds: 90 } as const

test('repair waits for the end, and prints one JSON document where stdout is no terminal', async (t) => {
  const node = await startNode(t, [running, {}])
  const { exitCode, stdout, stderr } = await run([
    'repair',
    '--full',
    '--dry-run',
    '--partition',
    '3',
    '--node',
    node.url
  ])
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.deepEqual(JSON.parse(stdout), finished)
  assert.deepEqual(JSON.parse(node.requests[0]?.body ?? ''), {
    mode: 'full',
    dryRun: true,
    partitions: [3]
  })
})

test('repair shows a bar on a terminal, with rate and time left, and a summary at the end', async (t) => {
  const half = { ...running, partitions: { done: 8, total: 16 } }
  const node = await startNode(t, [half, {}])
  const { exitCode, stdout } = await run(['repair', '--node', node.url], { isInteractive: true })
  assert.equal(exitCode, 0)
  assert.match(
    stdout,
    /\[#{8}\.{8}\] {2}50 % {2}1m 30s left {2}0 rows\/s {2}8\/16 partitions {2}12 diff/
  )
  assert.match(stdout, /repair done: 16 of 16 partitions compared, 12 differences/)
  assert.match(
    stdout,
    /5 rows sent, 7 received, 2\.0 KiB of rows, 2\.9 KiB of index, 6 round trips, 2\.5 s/
  )
})

test('repair draws no bar with NO_COLOR or --json', async (t) => {
  const node = await startNode(t, [running, {}])
  const plain = await run(['repair', '--node', node.url], {
    isInteractive: true,
    env: { NO_COLOR: '1' }
  })
  assert.doesNotMatch(plain.stdout, /\[#*\.*\]|\r/)
  assert.match(plain.stdout, /^repair done/)
  const json = await run(['repair', '--json', '--node', node.url], { isInteractive: true })
  assert.deepEqual(JSON.parse(json.stdout), finished)
})

test('repair --watch tells the progress on stderr', async (t) => {
  const node = await startNode(t, [running, {}])
  const { stdout, stderr } = await run(['repair', '--watch', '--node', node.url])
  assert.match(stderr, /16\/16 partitions/)
  assert.equal(JSON.parse(stdout).state, 'done')
})

test('the exit code of repair says how it ended', async (t) => {
  const failed = await startNode(t, [{ state: 'failed', reason: 'n3 went away' }])
  assert.equal((await run(['repair', '--node', failed.url])).exitCode, 1)
  const skipping = await startNode(t, [{ skipped: ['n3'] }])
  assert.equal((await run(['repair', '--node', skipping.url])).exitCode, 3)
})

test('repair pause, status and cancel', async (t) => {
  const node = await startNode(t, [{}])
  const paused = await run(['repair', 'pause', '--node', node.url])
  assert.equal(paused.stdout, 'background repair is paused (paused by an operator)\n')
  const status = await run(['repair', 'status', '--node', node.url])
  assert.match(
    status.stdout,
    /every partition was found equal within the last 41s; 30 equal, 2 waiting/
  )
  assert.match(status.stdout, /n2 +up +16 +1 +next round in 12 s/)
  assert.match(status.stdout, /n3 is down\\u\{1b\}\[2J/)
  const cancelled = await run(['repair', 'cancel', 'r1', '--json', '--node', node.url])
  assert.equal(JSON.parse(cancelled.stdout).state, 'cancelled')
})

test('hints asks every member, and says who does not answer', async (t) => {
  const node = await startFakeNode(t, ({ url, headers }, response) => {
    const http = headers.host ?? ''
    const member = { http, peer: 'p:1', zone: '', region: '', state: 'normal', up: true }
    if (url === '/admin/hints') {
      return sendJson(response, 200, [{ target: 'n3', count: 12, bytes: 4096, oldestSeconds: 65 }])
    }
    return sendJson(response, 200, {
      node: { id: 'n1', version: '1', state: 'ready', uptimeSeconds: 1 },
      cluster: {
        name: 'c',
        epoch: 'e',
        members: [
          { id: 'n1', ...member },
          { id: 'n3', ...member, http: '127.0.0.1:2' }
        ]
      }
    })
  })
  const text = await run(['hints', '--node', node.url])
  assert.equal(text.exitCode, 3)
  assert.match(text.stdout, /n1 +n3 +12 +4\.0 KiB +1m 5s/)
  assert.match(text.stdout, /n3 does not answer/)
  const json = await run(['hints', '--json', '--node', node.url])
  const { nodes } = JSON.parse(json.stdout)
  assert.equal(nodes[0].hints[0].count, 12)
  assert.equal(nodes[1].hints, null)
})

test('a command that fails says with --json why, in one document', async (t) => {
  const node = await startFakeNode(t, ({ url, headers }, response) => {
    if (url === '/admin/quarantine') return sendJson(response, 200, [])
    const http = headers.host ?? ''
    const member = { id: 'n1', http, peer: 'p:1', zone: '', region: '', state: 'normal', up: true }
    return sendJson(response, 200, {
      node: { id: 'n1', version: '1', state: 'ready', uptimeSeconds: 1 },
      cluster: { name: 'c', epoch: 'e', members: [member] }
    })
  })
  for (const [args, exitCode, code, detail] of [
    [['quarantine', 'drop', '00'], 1, 'failed', 'no node that answers has 00 in quarantine'],
    [
      ['put', 'b', 'k', 'v', '--blind', '--context', 'c'],
      2,
      'usage',
      '--blind and --context exclude each other'
    ],
    [['put', 'b', 'k', 'v', '--w', 'most'], 2, 'usage', /most.*one, quorum, all/]
  ] as const) {
    const outcome = await run([...args, '--node', node.url, '--json'])
    assert.equal(outcome.exitCode, exitCode)
    const { error } = JSON.parse(outcome.stdout)
    assert.equal(error.code, code)
    if (typeof detail === 'string') assert.equal(error.detail, detail)
    else assert.match(error.detail, detail)
    assert.ok(outcome.stderr.includes(error.detail), outcome.stderr)
    assert.equal((await run([...args, '--node', node.url])).stdout, '')
  }
})
