import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type ClusterOptions, startCluster } from '../../server/bench/cluster.ts'

const program = fileURLToPath(new URL('./stub-node.ts', import.meta.url))

const runCluster = fileURLToPath(new URL('./run-cluster.ts', import.meta.url))

let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anneal-test-'))
})

afterEach(async () => {
  delete process.env['STUB_FAILS']
  delete process.env['STUB_HANGS']
  await rm(directory, { recursive: true })
})

function optionsOf(signal = new AbortController().signal): ClusterOptions {
  return { program, nodes: 3, durability: 'os', directory, signal }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** For what nobody announces: the effects that other processes have. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5)
}

test('the nodes are processes of their own that answer, and stopping leaves nothing', async () => {
  const cluster = await startCluster(optionsOf())
  try {
    assert.equal(new Set(cluster.urls).size, 3)
    for (const url of cluster.urls) assert.equal((await fetch(`${url}/readyz`)).status, 200)
    assert.ok(cluster.pids.every(isRunning))
    assert.equal((await readdir(directory)).length, 1)
    cluster.assertRunning()
  } finally {
    await cluster.stop()
  }
  assert.ok(!cluster.pids.some(isRunning))
  assert.deepEqual(await readdir(directory), [])
  assert.throws(() => cluster.assertRunning(), /node n1 ended with exit code 0/)
})

test('one node is stopped and started again, with its data or without', async () => {
  const cluster = await startCluster(optionsOf())
  try {
    const [parent = ''] = await readdir(directory)
    const data = join(directory, parent, 'n2')
    await writeFile(join(data, 'row'), 'kept')
    const before = [...cluster.pids]
    await cluster.stopNode(1)
    await assert.rejects(fetch(`${cluster.urls[1]}/readyz`))
    assert.ok(isRunning(before[0] ?? 0) && isRunning(before[2] ?? 0))
    await cluster.startNode(1, 'kept')
    assert.equal((await fetch(`${cluster.urls[1]}/readyz`)).status, 200)
    assert.deepEqual(await readdir(data), ['row'])
    assert.notEqual(cluster.pids[1], before[1])
    await cluster.stopNode(1)
    await cluster.startNode(1, 'removed')
    assert.deepEqual(await readdir(data), [])
    cluster.assertRunning()
  } finally {
    await cluster.stop()
  }
  assert.ok(!cluster.pids.some(isRunning))
})

test('a node that gives up is named with what it said, and the others do not stay', async () => {
  process.env['STUB_FAILS'] = 'n2'
  await assert.rejects(startCluster(optionsOf()), (error) => {
    assert.ok(error instanceof Error)
    assert.match(error.message, /node n2 ended with exit code 1/)
    assert.match(error.message, /the disk of n2 is on fire/)
    return true
  })
  assert.deepEqual(await readdir(directory), [])
})

test('an interrupted start rejects with the reason and leaves nothing', async () => {
  process.env['STUB_HANGS'] = 'n3'
  const abort = new AbortController()
  const starting = startCluster(optionsOf(abort.signal))
  const rejected = assert.rejects(starting, /interrupted/)
  const started = async (): Promise<boolean> =>
    (await readdir(directory, { recursive: true })).some((path) => path.endsWith('n3'))
  await until(started)
  abort.abort(new Error('interrupted'))
  await rejected
  assert.deepEqual(await readdir(directory), [])
})

for (const ending of ['killed', 'exits'] as const) {
  test(`no node outlives a program that ${ending === 'killed' ? 'is killed' : ending}`, async () => {
    const child = spawn(process.execPath, [runCluster, program, directory], {
      stdio: ['pipe', 'pipe', 'inherit']
    })
    const [line] = await once(child.stdout, 'data')
    const urls: string[] = JSON.parse(String(line))
    assert.equal(urls.length, 3)
    const exit = once(child, 'exit')
    if (ending === 'killed') child.kill('SIGKILL')
    else child.stdin.end()
    await exit
    const gone = (url: string): Promise<boolean> =>
      fetch(url).then(
        () => false,
        () => true
      )
    for (const url of urls) await until(() => gone(url))
    if (ending === 'exits') assert.deepEqual(await readdir(directory), [])
  })
}
