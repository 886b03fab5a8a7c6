import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { LifeTask } from './runner-messages.ts'
import { LifePool } from './runner-pool.ts'
import { describeFailure } from './runner-report.ts'
import { failedSeeds } from './seeds.ts'

const fixedLives = 200
const fixedAtOnce = 25
/** They are there for what once was right: `npm run sim` lives whole lives, and others. */
const shorter = { durationMs: 60_000, lifeMs: 90_000 }
const freshLives = 20
const repeatedSeeds = [2, 12, 30, 47]

const pool = new LifePool()
after(() => pool.close())

describe('lives of whole clusters', () => {
  for (let from = 1; from <= fixedLives; from += fixedAtOnce) {
    const to = from + fixedAtOnce - 1
    test(`${from} to ${to}, which are always the same`, () =>
      livesViolateNothing(from, fixedAtOnce, shorter))
  }

  test(`${freshLives} that nobody has lived before`, async (t) => {
    const from = Date.now()
    t.diagnostic(`seeds ${from} to ${from + freshLives - 1}`)
    await livesViolateNothing(from, freshLives, {})
  })

  test('the same seed gives the same life, to the last message', async () => {
    for (const seed of repeatedSeeds) {
      const lives = [1, 2].map(() => pool.run({ seed, override: {} }))
      const [one, other] = await Promise.all(lives)
      assert.ok(one && other)
      assert.equal(one.report.traceDigest, other.report.traceDigest, `seed ${seed}`)
      assert.deepEqual(one.report, other.report)
    }
  })
})

test('a life that goes round in circles is ended and named, and the next one is lived', async () => {
  const impatient = new LifePool({ workers: 1, lifeCpuMsMax: 1, lookEveryMs: 10 })
  try {
    const lives = [1, 2].map((seed) => impatient.run({ seed, override: {} }))
    for (const { report } of await Promise.all(lives)) {
      assert.deepEqual(
        report.violations.map(({ invariant }) => invariant),
        ['endless']
      )
    }
  } finally {
    await impatient.close()
  }
})

describe('lives that once went wrong', () => {
  for (const { found, seed, override } of failedSeeds) {
    // They are older than these parameters, and are to stay the lives that they were.
    const older = {
      partitions: 16,
      durationMs: 240_000,
      calm: 1,
      rowCacheBytes: 0,
      pausesPerMinute: 0,
      returnReads: 0
    }
    const task = { seed, override: { ...older, ...override } }
    test(`seed ${seed}: ${found}`, () => violatesNothing(task))
  }
})

async function livesViolateNothing(
  from: number,
  count: number,
  override: LifeTask['override']
): Promise<void> {
  let next = from
  const liveOn = async () => {
    while (next < from + count) await violatesNothing({ seed: next++, override })
  }
  await Promise.all(Array.from({ length: pool.workers }, liveOn))
}

async function violatesNothing(task: LifeTask): Promise<void> {
  const { report } = await pool.run(task)
  if (report.violations.length > 0) assert.fail(describeFailure(task, report, null))
  assert.ok(report.operations > 0, `seed ${task.seed} has done nothing`)
}
