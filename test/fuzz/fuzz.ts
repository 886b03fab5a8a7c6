import { parseArgs } from 'node:util'
import { examine, type Finding, type Tally, timeMsMax } from './fuzz-run.ts'
import { shrink } from './shrink.ts'
import { targetOf, targets } from './targets.ts'
import { type FuzzJob, runJobs } from './worker-pool.ts'

const about = `Spoils valid inputs of everything that reads what comes from outside, on all cores.

  npm run fuzz [-- --inputs 1000000] [--seed N] [--only TARGET]... [--replay HEX]

The same seed gives the same inputs. Exit codes: 0 every rule held, 1 one was broken, 2 the arguments are wrong.`

const options = optionsGiven()
if (options.help) {
  console.log(`${about}\n\nTargets: ${Object.keys(targets).join(', ')}`)
  process.exit(0)
}
const inputs = Number(options.inputs)
const names = options.only ?? Object.keys(targets)
const { seed } = options

function optionsGiven() {
  try {
    const { values } = parseArgs({
      options: {
        inputs: { type: 'string', default: '1000000' },
        seed: { type: 'string', default: String(Date.now()) },
        only: { type: 'string', multiple: true },
        replay: { type: 'string' },
        help: { type: 'boolean', default: false }
      }
    })
    return values
  } catch (thrown) {
    return usage(thrown instanceof Error ? thrown.message : String(thrown))
  }
}

function usage(problem: string): never {
  console.error(`fuzz: ${problem}\n\n${about}`)
  process.exit(2)
}

const unknown = names.find((name) => !Object.hasOwn(targets, name))
if (unknown !== undefined) {
  usage(`there is no target ${unknown}; there are ${Object.keys(targets).join(', ')}`)
}
if (!Number.isSafeInteger(inputs) || inputs < 1) usage('--inputs takes a positive whole number')

function replay(hex: string): void {
  const [name] = names
  if (names.length !== 1 || name === undefined) usage('--replay needs --only with its target')
  const outcome = outcomeOf(name, Buffer.from(hex, 'hex'))
  console.log(typeof outcome === 'string' ? outcome : `BROKEN: ${outcome.rule}`)
  if (typeof outcome !== 'string') process.exitCode = 1
}

function outcomeOf(name: string, input: Buffer) {
  const target = targetOf(name, seed)
  if (target === null) usage(`there is no target ${name}`)
  return examine(target, input, { timeMsMax })
}

const inputsPerJob = 5000

function jobsFor(): FuzzJob[] {
  const perTarget = Math.ceil(inputs / names.length)
  const jobs: FuzzJob[] = []
  for (let from = 0; from < perTarget; from += inputsPerJob) {
    const to = Math.min(perTarget, from + inputsPerJob)
    for (const target of names) jobs.push({ target, seed, from, to })
  }
  return jobs
}

async function fuzzAll(): Promise<void> {
  const tallies = new Map<string, Tally>()
  const findings = new Map<string, Finding>()
  await runJobs(jobsFor(), ({ target }, { tally, finding }) => {
    tallies.set(target, sum(tallies.get(target), tally))
    if (finding !== null && !findings.has(target)) findings.set(target, finding)
  })
  console.log(`seed ${seed}\n\n${table(tallies)}`)
  for (const finding of findings.values()) report(finding)
  if (findings.size > 0) process.exitCode = 1
}

function sum(a: Tally | undefined, b: Tally): Tally {
  if (a === undefined) return b
  return {
    inputs: a.inputs + b.inputs,
    accepted: a.accepted + b.accepted,
    refused: a.refused + b.refused,
    durationMs: a.durationMs + b.durationMs
  }
}

function table(tallies: ReadonlyMap<string, Tally>): string {
  const rows = names.flatMap((name) => {
    const tally = tallies.get(name)
    return tally === undefined ? [] : [rowOf(name, tally)]
  })
  const total = [...tallies.values()].reduce<Tally | undefined>(sum, undefined)
  if (total !== undefined) rows.push(rowOf('all', total))
  const head = ['target', 'inputs', 'accepted', 'refused', 'per second']
  return [head, ...rows]
    .map(([name = '', ...numbers]) => {
      return name.padEnd(20) + numbers.map((number) => number.padStart(12)).join('')
    })
    .join('\n')
}

/** The rate is that of one core. */
function rowOf(name: string, { inputs, accepted, refused, durationMs }: Tally): string[] {
  const perSecond = Math.round(inputs / Math.max(durationMs / 1000, 1e-3))
  return [name, ...[inputs, accepted, refused, perSecond].map(String)]
}

function report({ target, index, input, rule }: Finding): void {
  const fails = (candidate: Buffer): boolean => typeof outcomeOf(target, candidate) !== 'string'
  const hex = shrink(Buffer.from(input), fails).toString('hex')
  console.log(`\n${target}, input ${index}: ${rule}`)
  console.log(`  input   ${Buffer.from(input).toString('hex')}`)
  console.log(`  shrunk  ${hex}`)
  console.log(`  replay  npm run fuzz -- --only ${target} --seed ${seed} --replay ${hex}`)
}

if (options.replay !== undefined) replay(options.replay)
else await fuzzAll()
