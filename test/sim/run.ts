import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { LifeReport } from './life.ts'
import { drawParameters, type LifeParameters } from './life-parameters.ts'
import type { LifeTask } from './runner-messages.ts'
import { LifePool } from './runner-pool.ts'
import { RunnerProgress } from './runner-progress.ts'
import { describeFailure, describeLife, replayCommand } from './runner-report.ts'
import { type Shrunk, shrink as shrinkLife } from './shrink.ts'
import { type Situation, situations } from './situations.ts'

const usage = `Lives many lives of a simulated cluster and says which of them violated an invariant.

  npm run sim -- [--seeds 1000] [--from 1] [--workers N] [--override JSON] [--situation NAME] [--no-shrink] [--json]
  npm run sim -- --seed N [--override JSON]      lives one life again and shows what happened
  npm run sim:nightly -- [--from N]              20,000 lives that nobody has lived before

A situation makes of the lives that are drawn such that come to something rare: ${Object.keys(situations).join(', ')}.

Exit codes: 0 nothing was violated, 1 something was, 2 the arguments are wrong.`

const nightlySeeds = 20_000
const seedsDefault = 1000
/** Further failures are named, but neither shown in full nor shrunk: they mostly are the same one again. */
const failuresShownMax = 3
const shrinkLivesMax = 400

interface Failure {
  readonly task: LifeTask
  readonly report: LifeReport
  readonly shrunk: Shrunk | null
}

class UsageError extends Error {}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      from: { type: 'string' },
      seed: { type: 'string' },
      override: { type: 'string', default: '{}' },
      situation: { type: 'string' },
      workers: { type: 'string' },
      nightly: { type: 'boolean', default: false },
      shrink: { type: 'boolean', default: true },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false }
    },
    allowNegative: true
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const override = parseOverride(values.override)
  const situation = parseSituation(values.situation)
  const workers = values.workers === undefined ? {} : { workers: count('workers', values.workers) }
  const pool = new LifePool(workers)
  try {
    if (values.seed !== undefined) {
      return await replay(pool, { seed: count('seed', values.seed), override }, values.json)
    }
    const total = count(
      'seeds',
      values.seeds ?? String(values.nightly ? nightlySeeds : seedsDefault)
    )
    const from = values.from === undefined ? firstSeed(values.nightly) : count('from', values.from)
    const { shrink, json } = values
    const failures = await lives(pool, { from, total, override, situation, shrink, json })
    if (values.nightly && failures.length > 0) keep(from, failures)
    return failures.length === 0 ? 0 : 1
  } finally {
    await pool.close()
  }
}

async function replay(pool: LifePool, task: LifeTask, json: boolean): Promise<number> {
  const { report } = await pool.run(task)
  console.log(json ? JSON.stringify(report, null, 2) : describeLife(task, report))
  return report.violations.length === 0 ? 0 : 1
}

interface LivesOptions {
  readonly from: number
  readonly total: number
  readonly override: Partial<LifeParameters>
  readonly situation: Situation
  readonly shrink: boolean
  readonly json: boolean
}

async function lives(pool: LifePool, options: LivesOptions): Promise<Failure[]> {
  const { from, total, override, situation, json } = options
  const progress = new RunnerProgress(total, process.stderr)
  process.stderr.write(`seeds ${from} to ${from + total - 1} on ${pool.workers} threads\n`)
  const failed: { readonly task: LifeTask; readonly report: LifeReport }[] = []
  let next = from
  const liveOn = async () => {
    while (next < from + total) {
      const seed = next++
      const task = { seed, override: { ...situation(drawParameters(seed)), ...override } }
      const { report, cpuMs } = await pool.run(task)
      progress.add(report, cpuMs)
      if (report.violations.length === 0) continue
      failed.push({ task, report })
      progress.clear()
      process.stderr.write(`seed ${task.seed} violates "${report.violations[0]?.invariant}"\n`)
    }
  }
  await Promise.all(Array.from({ length: pool.workers }, liveOn))
  progress.clear()
  process.stderr.write(`${progress.summary()}\n`)
  failed.sort((a, b) => a.task.seed - b.task.seed)
  const failures: Failure[] = []
  for (const [index, { task, report }] of failed.entries()) {
    const isShown = index < failuresShownMax
    const shrunk = isShown && options.shrink ? await shrinkOn(pool, task, report) : null
    failures.push({ task, report, shrunk })
    if (!json)
      console.log(isShown ? `\n${describeFailure(task, report, shrunk)}` : replayCommand(task))
  }
  if (json) console.log(JSON.stringify({ from, lives: total, failures }, null, 2))
  return failures
}

function shrinkOn(pool: LifePool, task: LifeTask, report: LifeReport): Promise<Shrunk> {
  process.stderr.write(`shrinking seed ${task.seed}, in ${shrinkLivesMax} lives at the most\n`)
  const live = async (simpler: LifeTask) => (await pool.run(simpler)).report
  return shrinkLife(task, report, { live, livesMax: shrinkLivesMax })
}

function keep(from: number, failures: readonly Failure[]): void {
  const file = join(tmpdir(), `anneal-sim-failures-from-${from}.json`)
  writeFileSync(file, `${JSON.stringify(failures, null, 2)}\n`)
  process.stderr.write(`the failing seeds are in ${file}\n`)
}

/** Every night begins where no other one has been. */
function firstSeed(nightly: boolean): number {
  if (!nightly) return 1
  const today = new Date().toISOString().slice(0, 10).replaceAll('-', '')
  return Number(today) * nightlySeeds * 10
}

function count(name: string, text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number
  throw new UsageError(`--${name} is "${text}", and must be a whole number`)
}

function parseOverride(text: string): Partial<LifeParameters> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Said below.
  }
  throw new UsageError(`--override is ${text}, and must be a JSON object of life parameters`)
}

function parseSituation(name: string | undefined): Situation {
  if (name === undefined) return () => ({})
  const situation = situations[name]
  if (situation !== undefined) return situation
  throw new UsageError(`--situation is ${name}; there are ${Object.keys(situations).join(', ')}`)
}

try {
  process.exitCode = await main()
} catch (thrown) {
  const isUsage =
    thrown instanceof UsageError ||
    (thrown instanceof TypeError && 'code' in thrown && String(thrown.code).startsWith('ERR_PARSE'))
  console.error(isUsage ? `${thrown.message}\n\n${usage}` : thrown)
  process.exitCode = isUsage ? 2 : 1
}
