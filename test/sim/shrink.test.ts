import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LifeReport } from './life.ts'
import { drawParameters, type LifeParameters } from './life-parameters.ts'
import type { LifeTask } from './runner-messages.ts'
import { shrink } from './shrink.ts'

const seed = 11
const base: Partial<LifeParameters> = {
  nodes: 6,
  hotKeys: 3,
  coldKeys: 20,
  clients: 5,
  loseProbability: 0.01,
  faults: {
    crash: 3,
    restart: 1,
    cut: 1,
    split: 0,
    clog: 1,
    clockJump: 0,
    diskError: 0,
    diskFull: 1,
    lossy: 0
  }
}

/** A program that is wrong under certain circumstances. */
function liveWhere(isWrong: (parameters: LifeParameters) => boolean, invariant = 'survival') {
  return async ({ seed: drawn, override }: LifeTask): Promise<LifeReport> => {
    const parameters = { ...drawParameters(drawn), ...override }
    const violation = { atMs: 40_000, invariant, detail: '', timeline: [] }
    return {
      seed: drawn,
      parameters: '',
      violations: isWrong(parameters) ? [violation] : [],
      virtualMs: 0,
      operations: 1,
      acknowledged: 0,
      failed: 0,
      faults: 0,
      traceDigest: ''
    }
  }
}

test('a life is shrunk to what it takes', async () => {
  const live = liveWhere(
    ({ faults, clients, nodes }) => faults.crash > 0 && clients > 1 && nodes > 3
  )
  const task = { seed, override: base }
  const shrunk = await shrink(task, await live(task), { live, livesMax: 2000 })
  const parameters = { ...drawParameters(seed), ...shrunk.task.override }
  assert.equal((await live(shrunk.task)).violations[0]?.invariant, 'survival')
  assert.deepEqual(parameters.faults, { ...base.faults, restart: 0, cut: 0, clog: 0, diskFull: 0 })
  assert.equal(parameters.clients, 2)
  assert.equal(parameters.nodes, 4)
  assert.equal(parameters.hotKeys, 1)
  assert.equal(parameters.coldKeys, 0)
  assert.equal(parameters.loseProbability, 0)
  assert.ok(parameters.durationMs <= 41_000)
})

test('another invariant is another bug', async () => {
  const task = { seed, override: base }
  const report = await liveWhere(() => true)(task)
  const live = liveWhere(() => true, 'convergence')
  const shrunk = await shrink(task, report, { live, livesMax: 100 })
  assert.deepEqual(shrunk.task, task)
})

test('a change that works only with other choices is kept with those', async () => {
  const live = liveWhere(({ seed: run, nodes }) => nodes > 3 || run !== seed)
  const task = { seed, override: base }
  const shrunk = await shrink(task, await live(task), { live, livesMax: 2000 })
  assert.equal(shrunk.task.override.nodes, 3)
  assert.notEqual(shrunk.task.override.seed ?? seed, seed)
})
