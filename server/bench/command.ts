import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { valueBytesCeiling } from '../../core/limits.ts'
import { CliExit, exitCodes } from '../cli/exit.ts'
import { addExamples, wholeNumber } from '../cli/options.ts'
import { packageRoot } from '../cli/package-root.ts'
import { json } from '../cli/terminal.ts'
import type { Durability } from './cluster.ts'
import { registerHintsBench } from './hints-command.ts'
import { type LoadOptions, runLoadBenchmark, type Workload } from './load.ts'
import { machine } from './machine.ts'
import { registerRepairBench } from './repair-command.ts'
import { formatReports } from './report.ts'
import { untilSignal } from './until-signal.ts'

interface LoadFlags {
  readonly node?: string[]
  readonly data?: string
  readonly durability: Durability | 'both'
  readonly workloads: Workload[]
  readonly runs: number
  readonly seconds: number
  readonly warmupSeconds: number
  readonly connections: number
  readonly keys: number
  readonly valueBytes: number
  readonly threads: number
  readonly seed: number
  readonly json?: true
}

const workloads: readonly Workload[] = ['put', 'get', 'update']
const keysMax = 1e9

/** Adds `anneal bench` and the benchmarks below it. */
export function registerBench(program: Command): void {
  const bench = program
    .command('bench')
    .description('measure how fast a cluster is, and at what cost')
  const load = bench
    .command('load')
    .description('puts, gets and updates per second, their latencies, and the CPU time they cost')
    .addOption(
      new Option('--node <urls>', 'load a running cluster; several nodes separated by commas')
        .argParser(parseUrls)
        .conflicts(['data', 'durability'])
    )
    .option('--data <dir>', 'a directory on the disk to measure (default: the temporary directory)')
    .addOption(
      new Option('--durability <mode>', 'of the writes')
        .choices(['fsync', 'os', 'both'])
        .default('both')
    )
    .option('--workloads <list>', 'of put, get, update', parseWorkloads, ['put', 'get'])
    .option('--runs <n>', 'runs of each workload', wholeNumber(1, 100), 3)
    .option('--seconds <n>', 'length of a run', number(0.1, 3600), 5)
    .option('--warmup-seconds <n>', 'load before the first run', number(0, 3600), 1)
    .option('--connections <n>', 'with one operation each at a time', wholeNumber(1, 10_000), 64)
    .option('--keys <n>', 'different keys', wholeNumber(1, keysMax), 100_000)
    .option('--value-bytes <n>', 'size of a value', wholeNumber(0, valueBytesCeiling), 256)
    .option('--threads <n>', 'load generator processes', wholeNumber(1, 64), 1)
    .option('--seed <n>', 'decides keys and values', wholeNumber(0, 2 ** 31), 1)
    .option('--json', 'print one JSON document')
    .action(runLoadCommand)
  addExamples(
    load,
    'anneal bench load',
    'anneal bench load --workloads put,update --durability os --connections 16',
    'anneal bench load --node http://127.0.0.1:8801 --seconds 10 --json'
  )
  registerRepairBench(bench)
  registerHintsBench(bench)
  addExamples(
    bench,
    'anneal bench load',
    'anneal bench repair --keys 100000 --runs 1',
    'anneal bench hints'
  )
}

async function runLoadCommand(flags: LoadFlags): Promise<void> {
  const options = loadOptions(flags)
  const startedAt = new Date()
  const reports = await untilSignal((signal) => {
    const progress = (step: string): boolean => process.stderr.write(`${step}\n`)
    return runLoadBenchmark(options, { progress, signal })
  })
  if (reports === null) return
  const document = { benchmark: 'load', startedAt, machine: machine(), options, reports }
  process.stdout.write(flags.json === true ? json(document) : formatReports(reports))
  const hasErrors = reports.some((report) => Object.keys(report.errors).length > 0)
  if (hasErrors) throw new CliExit(exitCodes.failed, 'operations failed; see the errors above')
}

function loadOptions(flags: LoadFlags): LoadOptions {
  const { node, data, durability, json: _, ...same } = flags
  if (node !== undefined) return { ...same, subject: { kind: 'running', urls: node } }
  return {
    ...same,
    subject: {
      kind: 'own',
      durabilities: durability === 'both' ? ['fsync', 'os'] : [durability],
      directory: data ?? tmpdir(),
      program: join(packageRoot, 'bin', 'anneal.js')
    }
  }
}

/** A parser for a number in a range. */
function number(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(`It must be a number from ${min} to ${max}.`)
    }
    return value
  }
}

function parseWorkloads(text: string): Workload[] {
  const names = text.split(',').map((name) => name.trim())
  const known = workloads.filter((workload) => names.includes(workload))
  const unknown = names.filter((name) => !workloads.some((workload) => workload === name))
  if (unknown.length > 0) {
    throw new InvalidArgumentError(`Known are ${workloads.join(', ')}, not: ${unknown.join(', ')}.`)
  }
  return known
}

function parseUrls(text: string): string[] {
  return text.split(',').map((part) => {
    const url = URL.parse(part.trim())
    if (url === null || url.protocol !== 'http:' || url.pathname !== '/' || url.search !== '') {
      throw new InvalidArgumentError('It must be like http://127.0.0.1:8801: plain http, no path.')
    }
    return url.origin
  })
}
