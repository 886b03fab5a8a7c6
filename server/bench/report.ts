import type { GeneratorResult } from './generator.ts'
import { LatencyHistogram } from './histogram.ts'

/** One run of a workload. Rates and latencies are of the operations that succeeded. */
export interface RunReport {
  readonly operations: number
  readonly seconds: number
  readonly opsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
  /** User and system time of all server processes together; null when it is not known. */
  readonly serverCpuMicrosPerOp: number | null
  readonly generatorCpuMicrosPerOp: number | null
  readonly reconnects: number
  /** How often, by HTTP status or by what else went wrong. */
  readonly errors: Readonly<Record<string, number>>
}

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Figures of the runs of one workload; `runs` has them one by one. */
export interface WorkloadReport {
  readonly workload: string
  /** Null when the cluster was not started by the benchmark and its setting is not known. */
  readonly durability: string | null
  readonly opsPerSecond: Spread
  readonly p50Ms: Spread
  readonly p99Ms: Spread
  readonly p999Ms: Spread
  readonly serverCpuMicrosPerOp: Spread | null
  readonly generatorCpuMicrosPerOp: Spread | null
  readonly reconnects: number
  readonly errors: Readonly<Record<string, number>>
  readonly runs: readonly RunReport[]
}

export function summarizeRun(result: GeneratorResult, serverCpuMicros: number | null): RunReport {
  const latency = new LatencyHistogram()
  latency.merge(result.latency)
  const operations = latency.count
  const seconds = result.elapsedMs / 1000
  const perOperation = (micros: number | null): number | null =>
    micros === null || operations === 0 ? null : micros / operations
  // Quantiles are rounded up, but nothing that was seen took longer than the maximum.
  const quantileMs = (fraction: number): number =>
    Math.min(latency.quantile(fraction), latency.maxMicros) / 1000
  return {
    operations,
    seconds,
    opsPerSecond: operations === 0 ? 0 : operations / seconds,
    p50Ms: quantileMs(0.5),
    p99Ms: quantileMs(0.99),
    p999Ms: quantileMs(0.999),
    maxMs: latency.maxMicros / 1000,
    serverCpuMicrosPerOp: perOperation(serverCpuMicros),
    generatorCpuMicrosPerOp: perOperation(result.cpuMicros),
    reconnects: result.reconnects,
    errors: Object.fromEntries(result.errors)
  }
}

export function summarizeWorkload(workload: string, runs: readonly RunReport[]): WorkloadReport {
  return {
    workload,
    durability: null,
    opsPerSecond: spread(runs.map((run) => run.opsPerSecond)),
    p50Ms: spread(runs.map((run) => run.p50Ms)),
    p99Ms: spread(runs.map((run) => run.p99Ms)),
    p999Ms: spread(runs.map((run) => run.p999Ms)),
    serverCpuMicrosPerOp: knownSpread(runs.map((run) => run.serverCpuMicrosPerOp)),
    generatorCpuMicrosPerOp: knownSpread(runs.map((run) => run.generatorCpuMicrosPerOp)),
    reconnects: runs.reduce((sum, run) => sum + run.reconnects, 0),
    errors: addErrors(runs.map(({ errors }) => errors)),
    runs
  }
}

/** The median of an even number of values is the mean of the middle two. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (index: number): number => sorted[index] ?? Number.NaN
  const middle = (sorted.length - 1) / 2
  const median = (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2
  return { median, min: at(0), max: at(sorted.length - 1) }
}

function knownSpread(values: readonly (number | null)[]): Spread | null {
  const known = values.filter((value) => value !== null)
  return known.length === values.length && known.length > 0 ? spread(known) : null
}

/** How often each of them happened in all. */
export function addErrors(
  counts: readonly Readonly<Record<string, number>>[]
): Readonly<Record<string, number>> {
  const sum: Record<string, number> = {}
  for (const count of counts) {
    for (const [name, number] of Object.entries(count)) sum[name] = (sum[name] ?? 0) + number
  }
  return sum
}

/** "12 x 503, 3 x closed"; the most frequent first. */
export function describeErrors(errors: ReadonlyMap<string, number>): string {
  return [...errors]
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} x ${name}`)
    .join(', ')
}

/** One table for each workload, for people; ends with a line break. */
export function formatReports(reports: readonly WorkloadReport[]): string {
  return reports.map(formatReport).join('\n')
}

const labelWidth = 34
const figureWidth = 12

function formatReport(report: WorkloadReport): string {
  const { workload, durability, runs } = report
  const title = durability === null ? workload : `${workload}, durability ${durability}`
  const lines = [
    row(title, ['median', 'min', 'max']),
    figures('  operations per second', report.opsPerSecond, 0),
    figures('  p50 latency, ms', report.p50Ms, 2),
    figures('  p99 latency, ms', report.p99Ms, 2),
    figures('  p99.9 latency, ms', report.p999Ms, 2),
    report.serverCpuMicrosPerOp === null
      ? `  CPU of the servers was not measured: ${whyUnknown(runs)}`
      : figures('  server CPU, us per operation', report.serverCpuMicrosPerOp, 1),
    ...(report.generatorCpuMicrosPerOp === null
      ? []
      : [figures('  generator CPU, us per operation', report.generatorCpuMicrosPerOp, 1)]),
    row('  errors', [describeErrors(new Map(Object.entries(report.errors))) || 'none'])
  ]
  if (report.reconnects > 0)
    lines.push(row('  connections opened again', [report.reconnects.toString()]))
  return `${lines.join('\n')}\n`
}

function whyUnknown(runs: readonly RunReport[]): string {
  if (runs.some((run) => run.operations === 0)) return 'no operation succeeded'
  return process.platform === 'linux' ? 'they are not ours' : 'that needs Linux'
}

function figures(label: string, values: Spread, digits: number): string {
  const format = new Intl.NumberFormat('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits
  })
  return row(label, [values.median, values.min, values.max].map(format.format))
}

function row(label: string, cells: readonly string[]): string {
  return label.padEnd(labelWidth) + cells.map((cell) => cell.padStart(figureWidth)).join('')
}
