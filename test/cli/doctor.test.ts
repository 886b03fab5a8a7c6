import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Check, exitCodeFor } from '../../server/cli/doctor-check.ts'
import { checkMachine, type MachineProbes } from '../../server/cli/doctor-machine.ts'
import { type FakeMember, startCluster } from './fake-cluster.ts'
import { deadAddress } from './fake-node.ts'
import { type Outcome, run } from './fake-terminal.ts'

const program = join(import.meta.dirname, '../../bin/anneal.js')
const gibi = 1024 ** 3

const figures = (free: number, size = 100 * gibi, refused = 0): readonly string[] => [
  '# HELP anneal_disk_free_bytes Free bytes',
  `anneal_disk_free_bytes ${free}`,
  `anneal_disk_size_bytes ${size}`,
  `anneal_disk_writes_refused ${refused}`
]

const background = { state: 'running', reason: null, intervalSeconds: 60 }
const equal = { oldestEqualSeconds: 30, neverEqual: 0, partitions: {} }

/** A member of which the doctor has nothing to say. */
const sound: FakeMember = {
  metrics: [...figures(50 * gibi), 'anneal_process_max_fds 65536', 'anneal_process_open_fds 90'],
  repair: { background, summary: equal }
}

function checksOf(outcome: Outcome): ReadonlyMap<string, Check> {
  const { checks } = JSON.parse(outcome.stdout)
  return new Map(checks.map((check: Check) => [check.name, check]))
}

/** What the doctor says of a cluster with these members, by the name of the check. */
async function examine(
  t: TestContext,
  members: readonly FakeMember[],
  absent: readonly string[] = []
): Promise<(name: string) => Check> {
  const cluster = await startCluster(t, members, absent)
  const outcome = await run(['doctor', '--json', '--node', cluster.urls[0] ?? ''])
  const checks = checksOf(outcome)
  return (name) => {
    const check = checks.get(name)
    assert.ok(check !== undefined, `${name} in ${[...checks.keys()]}`)
    // What is wrong comes with what to do about it, and nothing else does.
    assert.equal(check.advice === '', check.outcome === 'ok', JSON.stringify(check))
    return check
  }
}

function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'anneal-doctor-test-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

test('doctor looks at the machine and the cluster, and leaves nothing on the disk', async (t) => {
  const directory = temporaryDirectory(t)
  const cluster = await startCluster(t, [sound, sound])
  const args = ['doctor', '--data', directory, '--node', cluster.urls[0] ?? '']
  const checks = checksOf(await run([...args, '--json']))
  assert.deepEqual(
    [...checks.keys()],
    [
      ...['Node.js', 'open files', 'free disk', 'fsync'],
      ...['reachability', 'versions', 'clocks', 'disks', 'open files of nodes'],
      ...['repair age', 'repair', 'hints']
    ]
  )
  for (const check of checks.values()) {
    if (check.isAboutCluster) assert.equal(check.outcome, 'ok', JSON.stringify(check))
  }
  assert.match(checks.get('fsync')?.finding ?? '', /median [0-9.]+ ms/)
  assert.deepEqual(readdirSync(directory), [])
  const screen = await run(args)
  assert.match(screen.stdout, /ok +reachability +2 of 2 members answer/)
  assert.match(screen.stdout, /ok +disks +50\.0 GiB or more free on every node/)
})

test('low file limits: doctor fails in a shell that allows few open files', async (t) => {
  const directory = temporaryDirectory(t)
  const doctor = (limit: number) =>
    new Promise<Check | undefined>((resolve) => {
      const command = `ulimit -n ${limit} && exec "$0" "$@"`
      const args = [program, 'doctor', '--json', '--data', directory, '--node', deadAddress]
      execFile('bash', ['-c', command, process.execPath, ...args], (_, stdout, stderr) =>
        resolve(checksOf({ exitCode: 1, stdout, stderr }).get('open files'))
      )
    })
  const [low, some] = await Promise.all([doctor(512), doctor(4096)])
  assert.equal(low?.outcome, 'fail')
  assert.match(low?.finding ?? '', /up to 512/)
  assert.match(low?.advice ?? '', /ulimit -n/)
  assert.equal(some?.outcome, 'warn')
})

test('low file limits of nodes: few allowed is a warning, nearly used up is a failure', async (t) => {
  const withFiles = (max: number, open: number): FakeMember => ({
    ...sound,
    metrics: [
      ...figures(50 * gibi),
      `anneal_process_max_fds ${max}`,
      `anneal_process_open_fds ${open}`
    ]
  })
  const few = (await examine(t, [sound, withFiles(1024, 90)]))('open files of nodes')
  assert.deepEqual([few.outcome, few.finding], ['warn', 'n2 may open 1024'])
  const used = (await examine(t, [withFiles(1024, 900)]))('open files of nodes')
  assert.deepEqual([used.outcome, used.finding], ['fail', 'n1 has 900 of 1024 open'])
})

/** A machine on which all is well, but for what is given. */
const probes = (given: Partial<MachineProbes>): MachineProbes => ({
  space: async () => ({ free: 50 * gibi, size: 100 * gibi }),
  sync: async () => {},
  nowMs: () => 0,
  ...given
})

test('full disk here: a warning near the limit, a failure where a node would refuse writes', async (t) => {
  const directory = temporaryDirectory(t)
  const disk = async (free: number) => {
    const checks = await checkMachine(
      directory,
      probes({ space: async () => ({ free, size: 100 * gibi }) })
    )
    return checks.find(({ name }) => name === 'free disk')
  }
  assert.equal((await disk(50 * gibi))?.outcome, 'ok')
  assert.equal((await disk(0.5 * gibi))?.outcome, 'warn')
  const full = await disk(0.1 * gibi)
  assert.equal(full?.outcome, 'fail')
  assert.match(full?.advice ?? '', /refuses writes below 256 MiB; make room/)
})

test('full disk of a node: near the limit, below it, and where the node says that it refuses writes', async (t) => {
  const disks = async (metrics: readonly string[]) =>
    (await examine(t, [sound, { ...sound, metrics }]))('disks')
  const near = await disks(figures(0.5 * gibi))
  assert.deepEqual([near.outcome, near.finding], ['warn', 'n2: 512 MiB free (1 %)'])
  assert.equal((await disks(figures(0.1 * gibi))).outcome, 'fail')
  const refused = await disks(figures(20 * gibi, 100 * gibi, 1))
  assert.equal(refused.outcome, 'fail')
  assert.match(refused.finding, /n2 refuses writes: 20\.0 GiB free/)
  assert.match((await disks([])).finding, /n2 does not tell its free disk space/)
})

test('slow fsync: the median decides between a warning and a failure', async (t) => {
  const directory = temporaryDirectory(t)
  const fsync = async (ms: number) => {
    let nowMs = 0
    const sync = async () => {
      nowMs += ms
    }
    const checks = await checkMachine(directory, probes({ sync, nowMs: () => nowMs }))
    return checks.find(({ name }) => name === 'fsync')
  }
  assert.equal((await fsync(2))?.outcome, 'ok')
  const slow = await fsync(30)
  assert.equal(slow?.outcome, 'warn')
  assert.match(slow?.finding ?? '', /median 30\.00 ms/)
  assert.match(slow?.advice ?? '', /every durable write waits for this/)
  assert.equal((await fsync(300))?.outcome, 'fail')
})

test('doctor fails with 1 where the directory is not there, and says what to do', async (t) => {
  const cluster = await startCluster(t, [sound])
  const args = ['doctor', '--data', '/nowhere/at/all', '--node', cluster.urls[0] ?? '']
  const outcome = await run(args)
  assert.equal(outcome.exitCode, 1)
  assert.match(outcome.stdout, /fail +fsync/)
  assert.match(outcome.stdout, /name a directory with --data that exists/)
})

test('unreachable peers: a member that does not answer is a failure of the cluster', async (t) => {
  const missed = (await examine(t, [sound], [deadAddress]))('reachability')
  assert.deepEqual([missed.outcome, missed.isAboutCluster], ['fail', true])
  const doubted = (await examine(t, [sound, { ...sound, doubts: ['n1'] }]))('reachability')
  assert.equal(doubted.outcome, 'fail')
  assert.match(doubted.finding, /n1 is down as seen by n2/)
  const nobody = checksOf(await run(['doctor', '--json', '--node', deadAddress]))
  const unreached = nobody.get('reachability')
  assert.deepEqual([unreached?.outcome, unreached?.isAboutCluster], ['fail', false])
})

test('the exit code of doctor is 1 for this machine, else 3 for the cluster, else 0', () => {
  const check = (outcome: Check['outcome'], isAboutCluster: boolean): Check => {
    return { name: '', outcome, finding: '', advice: '', isAboutCluster }
  }
  assert.equal(exitCodeFor([check('ok', true), check('warn', true), check('warn', false)]), 0)
  assert.equal(exitCodeFor([check('fail', true), check('warn', false)]), 3)
  assert.equal(exitCodeFor([check('fail', true), check('fail', false)]), 1)
})

test('skewed clocks: a few seconds are a warning, an hour is a failure, and who is ahead is said', async (t) => {
  const ahead = (ms: number): FakeMember => ({ ...sound, date: new Date(Date.now() + ms) })
  const hour = (await examine(t, [sound, ahead(3_600_000)]))('clocks')
  assert.equal(hour.outcome, 'fail')
  assert.match(hour.finding, /n2 is 3[56][0-9]{2}\.[0-9] s or more ahead of n1/)
  assert.match(hour.advice, /chrony/)
  const behind = (await examine(t, [sound, ahead(-19_000)]))('clocks')
  assert.equal(behind.outcome, 'warn')
  assert.match(behind.finding, /n1 is 1[0-9]\.[0-9] s or more ahead of n2/)
})

test('mixed versions are a warning that names them', async (t) => {
  const mixed = (await examine(t, [sound, { ...sound, version: '2.0.0' }]))('versions')
  assert.equal(mixed.outcome, 'warn')
  assert.match(mixed.finding, /1\.0\.0, 2\.0\.0/)
})

test('stale repair: old comparisons, none at all, and repair that is held back', async (t) => {
  const stale = { ...equal, oldestEqualSeconds: 4000 }
  const never = { oldestEqualSeconds: null, neverEqual: 512, partitions: {} }
  const paused = { ...background, state: 'paused', reason: 'paused by an operator' }
  const old = (await examine(t, [sound, { ...sound, repair: { background, summary: stale } }]))(
    'repair age'
  )
  assert.equal(old.outcome, 'warn')
  assert.match(old.finding, /n2 was last found equal everywhere 1h 6m ago/)

  const untouched = { ...sound, repair: { background, summary: never } }
  const young = (await examine(t, [untouched]))('repair age')
  assert.equal(young.outcome, 'ok')
  assert.match(young.finding, /n1 started lately and did not compare everything yet/)
  const grown = (await examine(t, [{ ...untouched, uptimeSeconds: 3600 }]))('repair age')
  assert.equal(grown.outcome, 'warn')
  assert.match(grown.finding, /n1 was never found equal in 512 partitions/)

  const held = await examine(t, [{ ...sound, repair: { background: paused, summary: never } }])
  assert.equal(held('repair age').outcome, 'warn', 'however young: it will not get there')
  assert.equal(held('repair').outcome, 'warn')
  assert.match(held('repair').finding, /n1: paused by an operator/)
})

test('hints that a node does not take although it is up are a warning; those for one that is down are not', async (t) => {
  const hints = [{ target: 'n2', count: 7, bytes: 700, oldestSeconds: 5000 }]
  const up = (await examine(t, [{ ...sound, hints }, sound]))('hints')
  assert.equal(up.outcome, 'warn')
  assert.match(up.finding, /n1 keeps 7 for n2, which is up/)
  const gone = [{ target: 'gone', count: 7, bytes: 700, oldestSeconds: 5000 }]
  const down = (await examine(t, [{ ...sound, hints: gone }], [deadAddress]))('hints')
  assert.equal(down.outcome, 'ok')
})
