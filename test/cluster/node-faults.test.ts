import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { ClusterProcess, membersOf } from './cluster-process.ts'
import { call, describe, get, type KvAnswer, problemOf, put, valuesOf } from './kv-client.ts'
import type { ServerProcess } from './server-process.ts'

/** What a client may notice of a replica that dies or stops: nothing but a little time. */
const slowestMs = 1500
const promptMs = 500

let cluster: ClusterProcess

before(async () => {
  cluster = await ClusterProcess.start()
})

after(() => cluster?.stop())

// A test that has failed may have left nodes stopped, which is no business of the next one.
beforeEach(async () => {
  for (const node of cluster.nodes) {
    node.signal('SIGCONT')
    if (!node.isRunning) node.spawn()
  }
  await cluster.settled()
})

/** Puts and gets on these nodes for as long as `meanwhile` takes; answers with what failed, and the slowest. */
async function underLoad(
  nodes: readonly ServerProcess[],
  prefix: string,
  meanwhile: () => Promise<void>
): Promise<{ failed: string[]; slowest: KvAnswer | null; calls: number }> {
  let isOver = false
  let calls = 0
  let slowest: KvAnswer | null = null
  const failed: string[] = []
  const note = (what: string, answer: KvAnswer, wanted: number) => {
    calls++
    if (answer.status !== wanted) failed.push(`${what}: ${describe(answer)}`)
    if (slowest === null || answer.ms > slowest.ms) slowest = answer
  }
  const work = async (worker: number) => {
    for (let i = 0; !isOver; i++) {
      const path = `/kv/${prefix}/${worker}-${i}`
      const writer = nodes[i % nodes.length] ?? nodes[0]
      const reader = nodes[(i + 1) % nodes.length] ?? nodes[0]
      if (writer === undefined || reader === undefined) return
      note(`PUT on ${writer.id}`, await put(writer.url, path, `${worker}-${i}`), 204)
      note(`GET on ${reader.id}`, await get(reader.url, path), 200)
    }
  }
  const workers = Array.from({ length: 8 }, (_, worker) => work(worker))
  try {
    await meanwhile()
  } finally {
    isOver = true
    await Promise.all(workers)
  }
  return { failed, slowest, calls }
}

/** Resolves once the nodes take this one to be down. */
async function seenDown(node: ServerProcess, by: readonly ServerProcess[]): Promise<void> {
  for (const other of by) {
    await other.until(`sees ${node.id} down`, async () => {
      const member = (await membersOf(other)).find(({ id }) => id === node.id)
      return member?.up === false
    })
  }
}

function assertSmooth(load: Awaited<ReturnType<typeof underLoad>>): void {
  assert.deepEqual(load.failed.slice(0, 5), [])
  assert.ok(load.calls > 0)
  assert.ok(load.slowest !== null && load.slowest.ms < slowestMs, `slowest: ${load.slowest?.ms} ms`)
}

test('a node that is killed costs the clients of the others not one request', async () => {
  const victim = cluster.node(3)
  const others = cluster.others(victim)
  const load = await underLoad(others, 'killed', async () => {
    await victim.end('SIGKILL')
    await seenDown(victim, others)
  })
  assertSmooth(load)
  await victim.start()
  await cluster.settled()
  for (const node of cluster.nodes) {
    const answer = await get(node.url, '/kv/killed/0-0')
    assert.deepEqual(valuesOf(answer), ['0-0'], `${node.id}: ${describe(answer)}`)
  }
})

test('with two of three killed, answers are prompt and say who is missing', async () => {
  const [survivor, ...victims] = cluster.nodes
  assert.ok(survivor !== undefined)
  const path = '/kv/alone/key'
  assert.equal((await put(survivor.url, path, 'before')).status, 204)
  await Promise.all(victims.map((victim) => victim.end('SIGKILL')))
  for (const victim of victims) await seenDown(victim, [survivor])
  const answers = [
    await get(survivor.url, path),
    await put(survivor.url, path, 'refused'),
    await call(survivor.url, path, { method: 'DELETE' })
  ]
  for (const answer of answers) {
    assert.equal(answer.status, 503, describe(answer))
    const { code, needed, answered, asked, detail } = problemOf(answer)
    assert.deepEqual(
      { code, needed, answered, asked },
      {
        code: 'quorum_unavailable',
        needed: 2,
        answered: 1,
        asked: 3
      }
    )
    for (const victim of victims) assert.match(String(detail), new RegExp(`down:.*${victim.id}`))
    assert.ok(answer.ms < promptMs, describe(answer))
  }
  assert.deepEqual(valuesOf(await get(survivor.url, `${path}?r=1`)), ['before'])
  const alone = await put(survivor.url, '/kv/alone/other?w=1', 'one is enough')
  assert.equal(alone.status, 204, describe(alone))

  await Promise.all(victims.map((victim) => victim.start()))
  await cluster.settled()
  for (const node of cluster.nodes) {
    assert.deepEqual(valuesOf(await get(node.url, path)), ['before'])
    assert.deepEqual(valuesOf(await get(node.url, '/kv/alone/other?r=all')), ['one is enough'])
  }
})

test('a node that hangs and goes on is passed over, and takes part again', async () => {
  const victim = cluster.node(2)
  const others = cluster.others(victim)
  const load = await underLoad(others, 'hangs', async () => {
    victim.signal('SIGSTOP')
    await seenDown(victim, others)
  })
  assertSmooth(load)
  // What came in while it hung is the first thing that it sees: it must not take its own silence for that of the others.
  const waiting = Array.from({ length: 20 }, (_, i) =>
    put(victim.url, `/kv/hangs/waiting-${i}?w=all&sloppy=false`, 'x')
  )
  victim.signal('SIGCONT')
  for (const answer of await Promise.all(waiting)) {
    assert.equal(answer.status, 204, describe(answer))
  }
  await cluster.settled()
  const first = await get(victim.url, '/kv/hangs/0-0')
  assert.deepEqual(valuesOf(first), ['0-0'], describe(first))
  const written = await put(victim.url, '/kv/hangs/after?w=all', 'with all three')
  assert.equal(written.status, 204, describe(written))
})

/** Stops the node in order, looks at how it went, and starts it again. */
async function restart(node: ServerProcess): Promise<void> {
  const from = node.log.length
  const statuses = new Set<number>()
  const watching = (async () => {
    while (node.isRunning) statuses.add(await node.readiness())
  })()
  assert.equal(await node.end('SIGTERM'), 0, node.lastLines())
  await watching
  assert.ok(statuses.has(503), `${node.id} never said 503 while it stopped: ${[...statuses]}`)
  const messages = node.log.slice(from).map(({ msg }) => msg)
  assert.ok(messages.includes('stopping') && messages.at(-1) === 'stopped', node.lastLines())
  await node.start()
  const opened = await node.logged(/storage opened/, from)
  assert.equal(opened['afterCleanStop'], true, JSON.stringify(opened))
}

test('a rolling restart is not noticed by clients that try a second node', async () => {
  let isOver = false
  let calls = 0
  const failed: string[] = []
  const { urls } = cluster
  const retried = async (at: number, path: string, value: string | undefined) => {
    const attempt = (url = '') => (value === undefined ? get(url, path) : put(url, path, value))
    const first = await attempt(urls[at % 3])
    if (first.status !== 0 && first.status !== 503) return [first]
    return [first, await attempt(urls[(at + 1) % 3])]
  }
  const work = async (worker: number) => {
    for (let i = 0; !isOver; i++) {
      const path = `/kv/rolling/${worker}-${i % 100}`
      const answers = [
        ...(await retried(worker + i, path, `${i}`)).slice(-2),
        ...(await retried(worker + i + 1, path, undefined)).slice(-2)
      ]
      calls += 2
      const last = answers.at(-1)
      if (last === undefined || ![200, 300].includes(last.status)) {
        failed.push(answers.map(describe).join(' | '))
      }
    }
  }
  const workers = Array.from({ length: 6 }, (_, worker) => work(worker))
  try {
    for (const node of cluster.nodes) await restart(node)
  } finally {
    isOver = true
    await Promise.all(workers)
  }
  assert.deepEqual(failed.slice(0, 5), [], `${failed.length} of ${calls} failed`)
})
