import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Outcome, run } from '../cli/fake-terminal.ts'
import { ClusterProcess } from './cluster-process.ts'
import { runAnneal } from './run-anneal.ts'

let cluster: ClusterProcess
let n1: string
let n2: string

before(async () => {
  cluster = await ClusterProcess.start()
  ;[n1 = '', n2 = ''] = cluster.urls
})

after(() => cluster?.stop())

/** Runs a command against one node, within this process: a process for each would take most of the time. */
function anneal(url: string, ...args: readonly string[]): Promise<Outcome> {
  return run(args, { env: { ANNEAL_NODE: url } })
}

function json({ stdout, stderr }: Outcome): Readonly<Record<string, unknown>> {
  assert.equal(stderr, '', 'with --json nothing but an error goes to stderr')
  return JSON.parse(stdout)
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : -1
}

test('what put stores, get gives back, byte for byte, and delete takes away', async () => {
  const value = randomBytes(100_000)
  const stored = await runAnneal(['put', 'cli', 'bin/ary', '-', '--node', n1], { stdin: value })
  assert.deepEqual([stored.exitCode, stored.stderr], [0, ''])
  assert.match(stored.stdout.toString(), /100000 bytes.*cli\/bin\/ary/)
  const got = await runAnneal(['get', 'cli', 'bin/ary'], { env: { ANNEAL_NODE: n2 } })
  assert.equal(got.exitCode, 0)
  assert.deepEqual(got.stdout, value)

  const replaced = json(await anneal(n2, 'put', 'cli', 'bin/ary', 'text', '--json'))
  assert.match(String(replaced['context']), /^[\w-]+$/)
  assert.equal((await anneal(n1, 'get', 'cli', 'bin/ary')).stdout, 'text')
  assert.equal((await anneal(n1, 'delete', 'cli', 'bin/ary')).exitCode, 0)
  const gone = await anneal(n2, 'get', 'cli', 'bin/ary')
  assert.equal(gone.exitCode, 1)
  assert.equal(gone.stdout.length, 0)
  assert.match(gone.stderr, /deleted/)
  const document = json(await anneal(n2, 'get', 'cli', 'bin/ary', '--json'))
  assert.equal(document['found'], false)
  assert.equal(document['deleted'], true)
})

test('siblings are listed, counted, and settled by the next put', async () => {
  await anneal(n1, 'put', 'cli', 'twice', 'one')
  await anneal(n2, 'put', 'cli', 'twice', 'two', '--blind')
  const shown = await anneal(n1, 'get', 'cli', 'twice')
  assert.equal(shown.exitCode, 1)
  assert.equal(shown.stdout.length, 0)
  assert.match(shown.stderr, /one/)
  assert.match(shown.stderr, /two/)
  assert.match(shown.stderr, /anneal put/)
  const { siblings } = json(await anneal(n1, 'get', 'cli', 'twice', '--json'))
  assert.equal(lengthOf(siblings), 2)
  const settled = await anneal(n2, 'put', 'cli', 'twice', 'both')
  assert.equal(settled.exitCode, 0)
  assert.match(settled.stderr, /settled 2/)
  assert.equal((await anneal(n1, 'get', 'cli', 'twice')).stdout, 'both')
})

test('status, ring, key and doctor show the cluster, for people and for programs', async () => {
  await anneal(n1, 'put', 'cli', 'key', 'v', '--w', 'all')
  const [status, ring, key, doctor] = await Promise.all([
    anneal(n1, 'status'),
    anneal(n1, 'ring'),
    anneal(n1, 'key', 'cli', 'key'),
    anneal(n1, 'doctor')
  ])
  for (const run of [status, ring, key, doctor]) {
    const text = run.stdout
    assert.equal(run.exitCode, 0, text + run.stderr)
    assert.ok(!text.includes('\u001b'), 'no colours where stdout is no terminal')
  }
  for (const { id } of cluster.nodes) {
    assert.match(status.stdout, RegExp(`^${id} +ready`, 'm'))
    assert.match(ring.stdout, RegExp(`^${id} +\\d+ +3\\d`, 'm'))
    assert.match(key.stdout, RegExp(id))
  }
  assert.match(key.stdout, /replicas are equal/)
  assert.match(doctor.stdout, /3 of 3 members/)

  const documents = await Promise.all(
    [['status'], ['ring'], ['key', 'cli', 'key'], ['doctor']].map((args) =>
      anneal(n2, ...args, '--json')
    )
  )
  const [asStatus = {}, asRing = {}, asKey = {}, asDoctor = {}] = documents.map(json)
  assert.equal(lengthOf(asStatus['members']), 3)
  assert.equal(asStatus['degraded'], false)
  assert.equal(lengthOf(asRing['partitions']), 256)
  assert.equal(lengthOf(asKey['replicas']), 3)
  assert.equal(asDoctor['exitCode'], 0)
})

test('mistakes end with a sentence and the exit code for their kind', async () => {
  const cases: readonly (readonly [args: readonly string[], exitCode: number, words: RegExp])[] = [
    [['get', 'cli', 'never'], 1, /never.*no such key/],
    [['get', 'cli'], 2, /missing.*key/],
    [['get', 'cli', 'k', '--r', 'many'], 2, /quorum/],
    [['get', 'cli', 'k', '--r', '7'], 1, /3 replicas/],
    [['get', 'cli', 'k', '--context', 'made-up'], 1, /Causal-Context/],
    [['put', 'cli', '', 'v'], 1, /key is empty/],
    [['get', '..', 'k'], 1, /"\.\." cannot be part of a URL/],
    [['put', 'cli', '.', 'v'], 1, /"\." cannot be part of a URL/],
    [['put', 'cli', 'k', 'v', '--blind', '--context', 'x'], 2, /exclude/],
    [['frobnicate'], 2, /unknown command/],
    [['status', '--node', 'http://127.0.0.1:9'], 1, /cannot be reached/],
    [['status', '--node', '::'], 2, /not the URL/]
  ]
  for (const [args, exitCode, words] of cases) {
    const { exitCode: found, stderr, stdout } = await anneal(n1, ...args)
    assert.equal(found, exitCode, `${args.join(' ')}: ${stderr}`)
    assert.match(stderr, words)
    assert.doesNotMatch(stderr, /\n {4}at /, 'no stack')
    assert.equal(stdout, '', args.join(' '))
  }
})

test('with a node gone the commands that judge say degraded', async () => {
  const [, , third] = cluster.nodes
  assert.ok(third !== undefined)
  await third.end('SIGKILL')
  await cluster.settled()
  const [status, key, read, refused] = await Promise.all([
    anneal(n1, 'status'),
    anneal(n1, 'key', 'cli', 'key'),
    anneal(n1, 'get', 'cli', 'key'),
    anneal(n1, 'get', 'cli', 'key', '--r', 'all')
  ])
  assert.equal(status.exitCode, 3, status.stderr)
  assert.match(status.stdout, /degraded/)
  assert.match(status.stdout, /n3/)
  assert.equal(key.exitCode, 3)
  assert.match(key.stdout, /unreachable/)
  assert.equal(read.stdout, 'v')
  assert.equal(refused.exitCode, 3)
  assert.match(refused.stderr, /quorum_unavailable/)
  assert.match(refused.stderr, /n3/)
})
