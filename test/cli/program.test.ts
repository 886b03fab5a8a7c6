import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { planDemo } from '../../server/cli/demo-plan.ts'
import { printable, showDuration, showSize, table } from '../../server/cli/table.ts'
import { run } from './fake-terminal.ts'

const program = join(import.meta.dirname, '../../bin/anneal.js')
const commands = [
  'demo',
  'start',
  'get',
  'put',
  'delete',
  'status',
  'ring',
  'key',
  'repair',
  'hints',
  'quarantine',
  'doctor',
  'completion'
]

interface Ended {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

function runProcess(file: string, args: readonly string[], env = process.env): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { env }, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ exitCode, stdout, stderr })
    })
    child.stdin?.end()
  })
}

test('the help of the program lists exactly what there is', async () => {
  const { exitCode, stdout } = await run(['--help'])
  assert.equal(exitCode, 0)
  const listed = [...stdout.matchAll(/^ {2}([a-z]+)( [<[]| {2,})/gm)].map((match) => match[1])
  assert.deepEqual(listed, [...commands, 'bench', 'help'])
})

test('the program runs as a process, with its version and its exit codes', async () => {
  const version = await runProcess(process.execPath, [program, '--version'])
  const manifest = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')
  assert.equal(version.stdout.trim(), JSON.parse(manifest).version)
  assert.equal(version.exitCode, 0)
  assert.equal((await runProcess(process.execPath, [program, 'nonsense'])).exitCode, 2)
  const env = { ...process.env, ANNEAL_REPAIR__INTERVALMS: '1' }
  const start = await runProcess(process.execPath, [program, 'start'], env)
  assert.equal(start.exitCode, 2)
  assert.match(start.stderr, /ANNEAL_REPAIR__INTERVALMS.*did you mean ANNEAL_REPAIR__INTERVAL_MS/)
})

test('a Node that is too old is told so in one line', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anneal-old-node-'))
  t.after(() => rm(folder, { recursive: true }))
  const pretend = join(folder, 'pretend.cjs')
  for (const version of ['12.22.12', '20.20.2', '22.17.9']) {
    const versions = `{ ...process.versions, node: '${version}' }`
    const define = (name: string, value: string): string =>
      `Object.defineProperty(process, '${name}', { value: ${value} })\n`
    writeFileSync(pretend, define('versions', versions) + define('version', `'v${version}'`))
    const ended = await runProcess(process.execPath, ['--require', pretend, program, 'demo'])
    assert.equal(ended.exitCode, 1)
    assert.equal(ended.stdout, '')
    const line = new RegExp(`^anneal: Node\\.js 22\\.18 .* this is v${version}; .*npx anneal.*\\n$`)
    assert.match(ended.stderr, line)
  }
})

test('the file that old Nodes read has nothing that they cannot parse', () => {
  const source = readFileSync(program, 'utf8')
  assert.doesNotMatch(source, /\?\.|\?\?|^await |^import [^(]|node:|#[a-z]+ in /m)
})

const oldNode = '/usr/bin/node'
test('the Node of this system, if old, is told so', { skip: !existsSync(oldNode) }, async (t) => {
  const { stdout } = await runProcess(oldNode, ['--version'])
  const [major = 0, minor = 0] = stdout.slice(1).split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 18)) return t.skip(`${stdout.trim()} is not old`)
  const ended = await runProcess(oldNode, [program, '--help'])
  assert.equal(ended.exitCode, 1)
  assert.match(ended.stderr, /^anneal: Node\.js 22\.18 or later is needed, this is v.*\n$/)
})

test('demo names the port that is taken and starts nothing', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise((resolve) => server.close(resolve)))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const peerPort = String(port > 32_768 ? port - 1000 : port + 1000)
  const ports = ['--http-port', String(port), '--peer-port', peerPort]
  const { exitCode, stdout, stderr } = await run(['demo', '--nodes', '1', ...ports])
  assert.deepEqual([exitCode, stdout], [1, ''])
  assert.match(stderr, new RegExp(`port ${port} on 127.0.0.1 is in use, needed for HTTP of n1`))
  assert.match(stderr, /--http-port/)
})

test('demo plans nodes that know each other and expect each other', () => {
  const plans = planDemo({ nodes: 3, httpPort: 8801, peerPort: 9801 }, '/d', {})
  assert.deepEqual(
    plans.map(({ id }) => id),
    ['n1', 'n2', 'n3']
  )
  const seeds = '127.0.0.1:9801,127.0.0.1:9802,127.0.0.1:9803'
  assert.deepEqual(plans[1]?.args, [
    ...['start', '--id', 'n2', '--data', join('/d', 'n2'), '--http', '127.0.0.1:8802'],
    ...['--peer', '127.0.0.1:9802', '--seeds', seeds, '--zone', 'z2'],
    ...['--set', 'cluster.expectedNodes=3']
  ])
  const [alone] = planDemo({ nodes: 1, httpPort: 1, peerPort: 2 }, '/d', {})
  assert.deepEqual(alone?.args.slice(-2), ['--set', 'replication.n=1'])
  const chosen = { ANNEAL_REPLICATION__N: '2' }
  const [given] = planDemo({ nodes: 1, httpPort: 1, peerPort: 2 }, '/d', chosen)
  assert.deepEqual(given?.args.slice(-1), ['cluster.expectedNodes=1'])
})

test('tables align by what is seen, and escape what should not be', () => {
  const coloured = '\u001b[31mab\u001b[39m'
  assert.equal(
    table(
      ['x', 'y'],
      [
        [coloured, '1'],
        ['abc', '2']
      ]
    ),
    `x    y\n${coloured}   1\nabc  2\n`
  )
  assert.equal(printable('a\u001b\n\u202eb\u00e9'), 'a\\u{1b}\\u{a}\\u{202e}b\u00e9')
  assert.equal([59.9, 60, 3661, 90_000].map(showDuration).join(), '59s,1m 0s,1h 1m,1d 1h')
  assert.equal(
    [0, 1023, 1536, 300 * 1024 ** 2].map(showSize).join(),
    '0 bytes,1023 bytes,1.5 KiB,300 MiB'
  )
})
