import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FakeCluster, startCluster } from './fake-cluster.ts'
import { deadAddress, sendJson, startFakeNode } from './fake-node.ts'
import { type Outcome, run } from './fake-terminal.ts'

function status(cluster: FakeCluster, ...more: readonly string[]): Promise<Outcome> {
  return run(['status', '--node', cluster.urls[0] ?? '', ...more])
}

test('status shows every member, the balance and what they say', async (t) => {
  const cluster = await startCluster(t, [{}, {}])
  const { exitCode, stdout, stderr } = await status(cluster)
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.match(stdout, /^cluster c: healthy, 2 members, 1\.0\.0, ring e1\n/)
  assert.match(stdout, /\nn1 +ready +z0 +all 2 +1m 1s +2 +4 +42s ago +127\.0\.0\.1:/)
  assert.match(stdout, /\nrepair of n1 is paused: by an operator\n/)
  assert.doesNotMatch(stdout, /^old /m, 'removed members are history')
})

test('status of three nodes fits a screen of 80 columns and 24 lines, whatever is wrong', async (t) => {
  const member = { uptimeSeconds: 86_400 * 99 }
  const doubting = { ...member, doubts: ['n1'] }
  for (const members of [
    [member, member, member],
    [member, doubting, doubting]
  ]) {
    const { stdout } = await status(await startCluster(t, members))
    const lines = stdout.split('\n')
    assert.ok(lines.length <= 24, stdout)
    const rows = lines.filter((line) => /^(node|n\d) /.test(line))
    assert.equal(rows.length, 4)
    for (const row of rows) assert.ok(row.length <= 80, `${row.length} columns: ${row}`)
  }
})

test('status --json is one document with the same facts', async (t) => {
  const cluster = await startCluster(t, [{}, { doubts: ['n1'] }])
  const { exitCode, stdout } = await status(cluster, '--json')
  assert.equal(exitCode, 3)
  const report = JSON.parse(stdout)
  assert.equal(report.degraded, true)
  assert.deepEqual(report.problems, ['n1 is down as seen by n2'])
  assert.deepEqual(report.members[0].upAsSeenBy, { n1: true, n2: false })
  assert.equal(report.members[1].partitionsOwned, 1)
})

test('status is degraded by a member that does not answer, and shows it', async (t) => {
  const cluster = await startCluster(t, [{}], [deadAddress])
  const { exitCode, stdout } = await status(cluster)
  assert.equal(exitCode, 3)
  assert.match(stdout, /degraded/)
  assert.match(stdout, /gone +unreachable/)
  assert.match(stdout, /problem: gone does not answer: .*ECONNREFUSED/)
})

test('status is degraded by members that disagree on the ring', async (t) => {
  const { exitCode, stdout } = await status(await startCluster(t, [{}, { epoch: 'e2' }]))
  assert.equal(exitCode, 3)
  assert.match(stdout, /do not agree on the ring yet: e1 \(n1\), e2 \(n2\)/)
})

test('status notes a mix of versions without calling it degraded', async (t) => {
  const { exitCode, stdout } = await status(await startCluster(t, [{}, { version: '1.1.0' }]))
  assert.equal(exitCode, 0)
  assert.match(stdout, /note: several versions run: 1\.0\.0, 1\.1\.0/)
  assert.match(stdout, /\nn2 .* 1\.1\.0 /)
})

test('colours are for terminals without NO_COLOR', async (t) => {
  const cluster = await startCluster(t, [{}])
  const args = ['status', '--node', cluster.urls[0] ?? '']
  const isColoured = async (isInteractive: boolean, env: Record<string, string>) =>
    (await run(args, { isInteractive, env })).stdout.includes('\u001b[')
  assert.equal(await isColoured(true, {}), true)
  assert.equal(await isColoured(true, { NO_COLOR: '1' }), false)
  assert.equal(await isColoured(false, { FORCE_COLOR: '1' }), false)
})

test('ring lists partitions and sums up the balance', async (t) => {
  const cluster = await startCluster(t, [{}])
  const plain = await run(['ring', '--node', cluster.urls[0] ?? ''])
  assert.equal(plain.exitCode, 0)
  assert.match(plain.stdout, /\n1 +n2 +n1 +n3\n/)
  assert.match(plain.stdout, /\nn1 +2 +66\.7% +3\n/)
  const document = JSON.parse(
    (await run(['ring', '--json', '--node', cluster.urls[0] ?? ''])).stdout
  )
  assert.equal(document.partitions.length, 3)
  assert.deepEqual(document.balance[1], { node: 'n2', owned: 1, held: 3, ownedPercent: 33.3 })
})

test('key shows the replicas side by side, and 3 when one is unreachable', async (t) => {
  const version = { etag: '"e1"', tombstone: false, lastModified: 'then', bytes: 5 }
  const replicas = [
    { node: 'n1', state: 'ok', digest: 'aa', versions: [version] },
    { node: 'n2', state: 'missing', digest: null, versions: [] }
  ]
  const third = { node: 'n3\u001b', state: 'unreachable' }
  const node = await startFakeNode(t, (request, response) => {
    const isAll = request.url.endsWith('/all')
    const document = { partition: 7, leaf: 9, replicas: isAll ? [...replicas, third] : replicas }
    sendJson(response, 200, document)
  })
  const two = await run(['key', 'b', 'k', '--node', node.url])
  assert.equal(two.exitCode, 0)
  assert.match(two.stdout, /^b\/k: partition 7, leaf 9\n/)
  assert.match(two.stdout, /\nstate +ok +missing\n/)
  assert.match(two.stdout, /\n"e1" +5 bytes, then +-\n/)
  assert.match(two.stdout, /the replicas differ/)
  const three = await run(['key', 'b', 'all', '--node', node.url])
  assert.equal(three.exitCode, 3)
  assert.match(three.stdout, /1 could not be reached/)
  assert.ok(!three.stdout.includes('\u001b'))
})

test('a node that answers with nonsense is told from an Anneal node', async (t) => {
  const node = await startFakeNode(t, (_, response) => response.end('<html>hello</html>'))
  const { exitCode, stderr } = await run(['status', '--node', node.url])
  assert.equal(exitCode, 1)
  assert.match(stderr, /something an Anneal node would not say: <html>/)
})
