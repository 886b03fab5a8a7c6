import { type Command, Option } from 'commander'
import { valueBytesCeiling } from '../../core/limits.ts'
import { addExamples, wholeNumber } from '../cli/options.ts'
import type { Durability } from './cluster.ts'
import { runHintsBenchmark } from './hints.ts'
import { formatHintsReport, type HintsReport } from './hints-report.ts'
import { type ProvenBench, runProvenBench } from './proven-bench.ts'

interface HintsFlags {
  readonly data?: string
  readonly durability: Durability
  readonly hints: number
  readonly valueBytes: number
  readonly connections: number
  readonly threads: number
  readonly loadRate: number
  readonly phaseSeconds: number
  readonly seed: number
  readonly json?: true
}

const hintsMax = 1e9
const hintsBench: ProvenBench<HintsFlags, HintsReport> = {
  name: 'hints',
  run: runHintsBenchmark,
  format: formatHintsReport,
  hasErrors: ({ errors }) => Object.keys(errors).length > 0
}

/** Adds `anneal bench hints`. */
export function registerHintsBench(bench: Command): void {
  const hints = bench
    .command('hints')
    .description('how fast a node that comes back is given what it missed, and what users notice')
    .option('--hints <n>', 'keys that it misses', wholeNumber(1, hintsMax), 100_000)
    .option('--value-bytes <n>', 'size of a value', wholeNumber(0, valueBytesCeiling), 256)
    .option('--data <dir>', 'a directory on the disk to measure (default: the temporary directory)')
    .addOption(
      new Option('--durability <mode>', 'of the writes').choices(['fsync', 'os']).default('fsync')
    )
    .option('--connections <n>', 'that write', wholeNumber(1, 10_000), 64)
    .option('--threads <n>', 'load generator processes', wholeNumber(1, 64), 1)
    .option('--load-rate <n>', "users' writes a second", wholeNumber(1, 1_000_000), 1000)
    .option('--phase-seconds <n>', 'for which users are watched', wholeNumber(1, 3600), 20)
    .option('--seed <n>', 'decides which keys the users write', wholeNumber(0, 2 ** 31), 1)
    .option('--json', 'print one JSON document')
    .action((flags: HintsFlags) => runProvenBench(hintsBench, flags))
  addExamples(
    hints,
    'anneal bench hints',
    'anneal bench hints --hints 1000000',
    'anneal bench hints --hints 10000 --phase-seconds 5 --load-rate 200 --json'
  )
}
