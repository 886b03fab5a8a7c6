import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Check, exitCodeFor } from '../../server/cli/doctor-check.ts'
import { deadAddress, sendJson, sendProblem, startFakeNode } from './fake-node.ts'
import { type Outcome, run } from './fake-terminal.ts'

interface FakeCluster {
  readonly urls: readonly string[]
}

interface FakeMember {
  readonly version?: string
  readonly epoch?: string
  /** Ids of members that this one sees as down. */
  readonly doubts?: readonly string[]
  readonly date?: Date
  /** Answers with an error instead of its status. */
  readonly isBroken?: boolean
}

async function startCluster(
  t: TestContext,
  members: readonly FakeMember[],
  absent: readonly string[] = []
): Promise<FakeCluster> {
  const urls: string[] = []
  const describe = (member: FakeMember) => [
    ...urls.map((url, index) => {
      const id = `n${index + 1}`
      const up = member.doubts?.includes(id) !== true
      const http = url.replace('http://', '')
      return { id, http, peer: `p${index}:1`, zone: `z${index}`, region: '', state: 'normal', up }
    }),
    ...absent.map((http) => ({
      id: 'gone',
      http,
      peer: 'x:1',
      zone: '',
      region: '',
      state: 'normal',
      up: true
    })),
    { id: 'old', http: 'x:1', peer: 'x:1', zone: '', region: '', state: 'removed', up: false }
  ]
  for (const [index, member] of members.entries()) {
    const node = await startFakeNode(t, (request, response) => {
      if (member.date !== undefined) response.setHeader('date', member.date.toUTCString())
      if (member.isBroken === true) return sendProblem(response, 500, 'internal')
      if (request.url === '/livez') return sendJson(response, 200, {})
      if (request.url === '/admin/ring') {
        const partitions = [
          { id: 0, replicas: ['n1', 'n2'], pending: [] },
          { id: 1, replicas: ['n2', 'n1'], pending: ['n3'] },
          { id: 2, replicas: ['n1', 'n2'], pending: [] }
        ]
        return sendJson(response, 200, { epoch: 'e1', partitions })
      }
      return sendJson(response, 200, {
        node: {
          id: `n${index + 1}`,
          version: member.version ?? '1.0.0',
          state: 'ready',
          uptimeSeconds: 61
        },
        cluster: { name: 'c', epoch: member.epoch ?? 'e1', members: describe(member) },
        hints: { count: 4 },
        repair: { state: 'paused', reason: 'by an operator', oldestEqualSeconds: 42, neverEqual: 0 }
      })
    })
    urls.push(node.url)
  }
  return { urls }
}

function status(cluster: FakeCluster, ...more: readonly string[]): Promise<Outcome> {
  return run(['status', '--node', cluster.urls[0] ?? '', ...more])
}

test('status shows every member, the balance and what they say', async (t) => {
  const cluster = await startCluster(t, [{}, {}])
  const { exitCode, stdout, stderr } = await status(cluster)
  assert.deepEqual([exitCode, stderr], [0, ''])
  assert.match(stdout, /^cluster c: healthy, 2 members, ring e1\n/)
  assert.match(stdout, /\nn1 +ready +z0 +all 2 up +1\.0\.0 +1m 1s +2 +3 +4 +42s ago +127\.0\.0\.1:/)
  assert.match(stdout, /\nrepair of n1 is paused: by an operator\n/)
  assert.doesNotMatch(stdout, /^old /m, 'removed members are history')
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

function doctorChecks(outcome: Outcome): ReadonlyMap<string, Check> {
  const { checks } = JSON.parse(outcome.stdout)
  return new Map(checks.map((check: Check) => [check.name, check]))
}

test('doctor measures the disk it is pointed at and leaves nothing there', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'anneal-doctor-test-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const cluster = await startCluster(t, [{}, {}])
  const node = cluster.urls[0] ?? ''
  const outcome = await run(['doctor', '--json', '--data', directory, '--node', node])
  const checks = doctorChecks(outcome)
  const names = [
    'Node.js',
    'open files',
    'free disk',
    'fsync',
    'reachability',
    'versions',
    'clocks'
  ]
  assert.deepEqual([...checks.keys()], names)
  assert.match(checks.get('fsync')?.finding ?? '', /median [0-9.]+ ms/)
  assert.equal(checks.get('reachability')?.outcome, 'ok')
  assert.equal(checks.get('clocks')?.outcome, 'ok')
  assert.deepEqual(readdirSync(directory), [])
  const screen = await run(['doctor', '--data', directory, '--node', node])
  assert.match(screen.stdout, /ok +reachability +2 of 2 members answer/)
})

test('doctor fails with 1 where the directory is not there, and says what to do', async (t) => {
  const cluster = await startCluster(t, [{}])
  const outcome = await run([
    'doctor',
    '--data',
    '/nowhere/at/all',
    '--node',
    cluster.urls[0] ?? ''
  ])
  assert.equal(outcome.exitCode, 1)
  assert.match(outcome.stdout, /fail +fsync/)
  assert.match(outcome.stdout, /name a directory with --data that exists/)
})

test('doctor calls a member that does not answer a failure of the cluster', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'anneal-doctor-test-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const args = ['doctor', '--json', '--data', directory, '--node']
  const degraded = await startCluster(t, [{}], [deadAddress])
  const missed = doctorChecks(await run([...args, degraded.urls[0] ?? ''])).get('reachability')
  assert.deepEqual([missed?.outcome, missed?.isAboutCluster], ['fail', true])
  const nobody = doctorChecks(await run([...args, deadAddress])).get('reachability')
  assert.deepEqual([nobody?.outcome, nobody?.isAboutCluster], ['fail', false])
})

test('the exit code of doctor is 1 for this machine, else 3 for the cluster, else 0', () => {
  const check = (outcome: Check['outcome'], isAboutCluster: boolean): Check => {
    return { name: '', outcome, finding: '', advice: '', isAboutCluster }
  }
  assert.equal(exitCodeFor([check('ok', true), check('warn', true), check('warn', false)]), 0)
  assert.equal(exitCodeFor([check('fail', true), check('warn', false)]), 3)
  assert.equal(exitCodeFor([check('fail', true), check('fail', false)]), 1)
})

test('doctor tells clocks that are apart, and versions that are mixed', async (t) => {
  const ahead = new Date(Date.now() + 3_600_000)
  const cluster = await startCluster(t, [{}, { date: ahead, version: '2.0.0' }])
  const checks = doctorChecks(await run(['doctor', '--json', '--node', cluster.urls[0] ?? '']))
  assert.equal(checks.get('clocks')?.outcome, 'fail')
  assert.match(
    checks.get('clocks')?.finding ?? '',
    /n2 is 3[56][0-9]{2}\.[0-9] s or more ahead of n1/
  )
  assert.equal(checks.get('versions')?.outcome, 'warn')
})

test('a node that answers with nonsense is told from an Anneal node', async (t) => {
  const node = await startFakeNode(t, (_, response) => response.end('<html>hello</html>'))
  const { exitCode, stderr } = await run(['status', '--node', node.url])
  assert.equal(exitCode, 1)
  assert.match(stderr, /something an Anneal node would not say: <html>/)
})
