import { type Command, InvalidArgumentError, Option } from 'commander'
import { valueBytesCeiling } from '../../core/limits.ts'
import { CliExit, exitCodes } from '../cli/exit.ts'
import { addExamples, wholeNumber } from '../cli/options.ts'
import type { Durability } from './cluster.ts'
import { type ProvenBench, runProvenBench } from './proven-bench.ts'
import { runRepairBenchmark } from './repair.ts'
import { formatRepairReport, type RepairReport } from './repair-report.ts'
import { defaultScenarios, parseScenarios, type RepairScenario } from './repair-scenario.ts'

interface RepairFlags {
  readonly data?: string
  readonly durability: Durability
  readonly scenarios: readonly RepairScenario[]
  readonly runs: number
  readonly keys: number
  readonly valueBytes: number
  readonly connections: number
  readonly threads: number
  readonly loadRate: number
  readonly loadSeconds: number
  readonly seed: number
  readonly json?: true
}

const keysMax = 1e9
const repairBench: ProvenBench<RepairFlags, RepairReport> = {
  name: 'repair',
  run: runRepairBenchmark,
  format: formatRepairReport,
  hasErrors: ({ scenarios }) => scenarios.some(({ errors }) => Object.keys(errors).length > 0)
}

/** Adds `anneal bench repair`. */
export function registerRepairBench(bench: Command): void {
  const repair = bench
    .command('repair')
    .description('how long a repair takes and what it sends, by how much the replicas differ')
    .addOption(
      new Option('--scenarios <list>', 'stale keys on one replica, or `empty`; `+load`: under load')
        .argParser(parseList)
        .default(parseScenarios(defaultScenarios), defaultScenarios)
    )
    .option('--keys <n>', 'in the cluster', wholeNumber(1, keysMax), 1_000_000)
    .option('--value-bytes <n>', 'size of a value', wholeNumber(0, valueBytesCeiling), 256)
    .option('--runs <n>', 'runs of each scenario', wholeNumber(1, 100), 3)
    .option('--data <dir>', 'a directory on the disk to measure (default: the temporary directory)')
    .addOption(
      new Option('--durability <mode>', 'of the writes').choices(['fsync', 'os']).default('fsync')
    )
    .option('--connections <n>', 'that write', wholeNumber(1, 10_000), 64)
    .option('--threads <n>', 'load generator processes', wholeNumber(1, 64), 1)
    .option('--load-rate <n>', 'writes a second under load', wholeNumber(1, 1_000_000), 2000)
    .option('--load-seconds <n>', 'of load before the repair begins', wholeNumber(1, 3600), 5)
    .option('--seed <n>', 'decides which keys the load writes', wholeNumber(0, 2 ** 31), 1)
    .option('--json', 'print one JSON document')
    .action(runRepairCommand)
  addExamples(
    repair,
    'anneal bench repair',
    'anneal bench repair --keys 100000 --scenarios 0,1000,empty --runs 1',
    'anneal bench repair --scenarios 1000+load,empty+load --load-rate 500 --json'
  )
}

async function runRepairCommand(flags: RepairFlags): Promise<void> {
  const { keys } = flags
  const impossible = flags.scenarios.find(({ stale }) => stale !== 'all' && stale > keys)
  if (impossible !== undefined) {
    const message = `${impossible.name} keys cannot be stale where there are ${keys}; see --keys and --scenarios`
    throw new CliExit(exitCodes.usage, message)
  }
  await runProvenBench(repairBench, flags)
}

function parseList(text: string): readonly RepairScenario[] {
  try {
    return parseScenarios(text)
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? `${error.message}.` : String(error))
  }
}
