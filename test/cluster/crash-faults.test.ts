import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { SeededRandom } from '../sim/seeded-random.ts'
import { ClusterProcess } from './cluster-process.ts'
import { type AttemptedWrite, KeyHistory } from './crash-history.ts'
import { call, contextOf, get, type KvAnswer, put, valuesOf } from './kv-client.ts'
import type { ServerProcess } from './server-process.ts'

// ANNEAL_TEST_SEED repeats a run as far as real processes can; ANNEAL_TEST_CRASHES makes it longer.
const seed = process.env['ANNEAL_TEST_SEED'] ?? String(Date.now() % 1_000_000)
const crashesWanted = Number(process.env['ANNEAL_TEST_CRASHES'] ?? 6)
const acknowledgedWanted = Math.ceil((10_000 * crashesWanted) / 6)
const workers = 12
const sharedKeys = 40
const afterFailureMs = 10
const bucket = '/kv/crashes'

let cluster: ClusterProcess

before(async () => {
  cluster = await ClusterProcess.start()
})

after(() => cluster?.stop())

/** What one worker knows of the key that it last read or wrote: a context, and what it covers. */
interface Memory {
  readonly history: KeyHistory
  readonly context: string | undefined
  readonly seen: readonly AttemptedWrite[]
}

/** Reads and writes of one run, and everything that was found wrong. */
class Run {
  readonly histories = new Map<string, KeyHistory>()
  readonly faults: string[] = []
  acknowledged = 0
  unknown = 0
  #names = 0

  historyOf(key: string): KeyHistory {
    const history = this.histories.get(key) ?? new KeyHistory(key)
    this.histories.set(key, history)
    return history
  }

  /** Null where no answer came that says anything. */
  async read(node: ServerProcess, history: KeyHistory, query = ''): Promise<Memory | null> {
    const began = history.now
    const answer = await get(node.url, `${bucket}/${history.key}${query}`)
    if (![200, 300, 404].includes(answer.status)) return this.#unanswered(answer)
    const { read, faults } = history.judgeRead(valuesOf(answer), began)
    for (const fault of faults) this.faults.push(`${history.key}${query} on ${node.id}: ${fault}`)
    return { history, context: contextOf(answer), seen: read }
  }

  /** With a memory the write replaces what was seen, without one it is blind. */
  async write(
    node: ServerProcess,
    history: KeyHistory,
    memory: Memory | null,
    isDelete: boolean
  ): Promise<Memory | null> {
    const name = `w${this.#names++}`
    const write = history.begin(name, isDelete, memory?.seen ?? [])
    const path = `${bucket}/${history.key}`
    const context = memory?.context
    const answer = isDelete
      ? await call(node.url, path, { method: 'DELETE', context })
      : await put(node.url, path, name, context)
    if (answer.status !== 204) {
      this.unknown++
      return this.#unanswered(answer)
    }
    history.acknowledge(write)
    this.acknowledged++
    return { history, context: contextOf(answer), seen: [...write.seen, write] }
  }

  #unanswered(answer: KvAnswer): null {
    const isExpected = answer.status === 0 || answer.status === 503 || answer.status === 504
    if (!isExpected) this.faults.push(`answered ${answer.status}: ${answer.body}`)
    return null
  }
}

async function work(
  run: Run,
  worker: number,
  random: SeededRandom,
  isOver: () => boolean
): Promise<void> {
  let memory: Memory | null = null
  for (let i = 0; !isOver(); i++) {
    const node = random.pick(cluster.nodes)
    const isShared = random.chance(0.85)
    const key = isShared ? `shared-${random.int(sharedKeys)}` : `own-${worker}-${i}`
    const kind = random.fraction()
    let next: Memory | null
    if (memory !== null && kind < 0.3) {
      // Nobody else need have written meanwhile, or somebody may: both must come out right.
      next = await run.write(node, memory.history, memory, false)
    } else if (kind < 0.5) {
      next = await run.write(node, run.historyOf(key), null, false)
    } else {
      next = await run.read(node, run.historyOf(key))
      if (next !== null && next.context !== undefined) {
        next = await run.write(node, next.history, next, kind > 0.95)
      }
    }
    memory = next
    if (next === null) await sleep(afterFailureMs)
  }
}

/** Kills one node, or now and then two, and starts them again, until enough has happened. */
async function crash(run: Run, random: SeededRandom): Promise<number> {
  let crashes = 0
  while (crashes < crashesWanted) {
    const first = random.pick(cluster.nodes)
    const others = cluster.others(first)
    const victims = random.chance(0.25) ? [first, random.pick(others)] : [first]
    await sleep(random.between(200, 900))
    crashes += victims.length
    await Promise.all(
      victims.map(async (victim) => {
        await victim.end('SIGKILL')
        await sleep(random.between(0, 400))
        await victim.start()
      })
    )
  }
  await cluster
    .node(1)
    .until(`took ${acknowledgedWanted} writes`, () => run.acknowledged >= acknowledgedWanted, 60)
  return crashes
}

test('no write that was acknowledged is lost to kill -9, and nothing is invented', async (t) => {
  t.diagnostic(`ANNEAL_TEST_SEED=${seed}`)
  const random = new SeededRandom(seed)
  const run = new Run()
  let isOver = false
  const working = Array.from({ length: workers }, (_, i) =>
    work(run, i, random.fork(`${i}`), () => isOver)
  )
  let crashes = 0
  try {
    crashes = await crash(run, random.fork('crashes'))
  } finally {
    isOver = true
    await Promise.all(working)
  }
  await cluster.settled()
  const reads = ['?r=all', '', '', ''].map((query, i) => ({
    query,
    node: cluster.node((i % 3) + 1)
  }))
  const histories = [...run.histories.values()]
  let next = 0
  const check = async () => {
    for (let history = histories[next++]; history !== undefined; history = histories[next++]) {
      for (const { node, query } of reads) {
        const read = await run.read(node, history, query)
        if (read === null) run.faults.push(`${history.key}${query} on ${node.id}: no answer`)
      }
    }
  }
  await Promise.all(Array.from({ length: 32 }, check))
  t.diagnostic(
    `${crashes} crashes, ${run.acknowledged} writes acknowledged, ${run.unknown} unknown, ${histories.length} keys`
  )
  assert.deepEqual(run.faults.slice(0, 10), [], `${run.faults.length} faults, seed ${seed}`)
})
