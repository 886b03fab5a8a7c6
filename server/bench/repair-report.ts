import type { ForegroundReport } from './foreground.ts'
import { describeProof, type Proof } from './repair-proof.ts'
import type { RepairScenario } from './repair-scenario.ts'
import { addErrors, type Spread, spread } from './report.ts'

/** One repair that was measured. */
export interface RepairRunReport {
  /** From the request for the repair to its end, by the clock of the node that was asked. */
  readonly seconds: number
  readonly roundTrips: number
  /** All bytes on the wire, in both directions, but those of the rows. */
  readonly indexBytes: number
  readonly dataBytes: number
  readonly rowsShipped: number
  /** How many had to be: the rows in which the replicas differed. */
  readonly rowsNeeded: number
  /** User and system time of all server processes meanwhile, load included; null where it is not known. */
  readonly serverCpuSeconds: number | null
  /** Null without load. */
  readonly foreground: {
    readonly before: ForegroundReport
    readonly during: ForegroundReport
    readonly errors: Readonly<Record<string, number>>
  } | null
}

/** The runs of one scenario. Ratios are null where there was nothing to ship. */
export interface ScenarioReport {
  readonly scenario: RepairScenario
  readonly seconds: Spread
  readonly roundTrips: Spread
  readonly indexBytes: Spread
  readonly dataBytes: Spread
  readonly rowsShipped: Spread
  readonly rowsNeeded: Spread
  readonly rowsPerSecond: Spread
  readonly serverCpuSeconds: Spread | null
  readonly rowsShippedOverNeeded: Spread | null
  /** Index and rows, over the rows. */
  readonly allBytesOverRowBytes: Spread | null
  readonly indexBytesPerRow: Spread | null
  readonly p99BeforeMs: Spread | null
  readonly p99DuringMs: Spread | null
  readonly errors: Readonly<Record<string, number>>
  readonly runs: readonly RepairRunReport[]
}

export interface RepairReport {
  readonly fillSeconds: number
  readonly scenarios: readonly ScenarioReport[]
  readonly proof: Proof
}

export function summarizeScenario(
  scenario: RepairScenario,
  runs: readonly RepairRunReport[]
): ScenarioReport {
  const of = (figure: (run: RepairRunReport) => number): Spread => spread(runs.map(figure))
  const ratio = (figure: (run: RepairRunReport) => number): Spread | null =>
    runs.every(({ rowsNeeded, dataBytes }) => rowsNeeded > 0 && dataBytes > 0) ? of(figure) : null
  const cpu = runs.flatMap(({ serverCpuSeconds }) => serverCpuSeconds ?? [])
  const latencies = runs.flatMap(({ foreground }) => foreground ?? [])
  const p99 = (when: 'before' | 'during'): Spread | null =>
    latencies.length === 0 ? null : spread(latencies.map((latency) => latency[when].p99Ms))
  return {
    scenario,
    seconds: of((run) => run.seconds),
    roundTrips: of((run) => run.roundTrips),
    indexBytes: of((run) => run.indexBytes),
    dataBytes: of((run) => run.dataBytes),
    rowsShipped: of((run) => run.rowsShipped),
    rowsNeeded: of((run) => run.rowsNeeded),
    rowsPerSecond: of((run) => run.rowsShipped / Math.max(run.seconds, 0.001)),
    serverCpuSeconds: cpu.length === runs.length ? spread(cpu) : null,
    rowsShippedOverNeeded: ratio((run) => run.rowsShipped / run.rowsNeeded),
    allBytesOverRowBytes: ratio((run) => (run.indexBytes + run.dataBytes) / run.dataBytes),
    indexBytesPerRow: ratio((run) => run.indexBytes / run.rowsNeeded),
    p99BeforeMs: p99('before'),
    p99DuringMs: p99('during'),
    errors: addErrors(latencies.map(({ errors }) => errors)),
    runs
  }
}

/** A table with a column for each scenario, and what was proven, for people; ends with a line break. */
export function formatRepairReport({ scenarios, proof }: RepairReport): string {
  const line = (label: string, figure: (report: ScenarioReport) => Spread | null, digits = 0) =>
    row(
      label,
      scenarios.map((report) => show(figure(report), digits))
    )
  const lines = [
    row(
      'stale keys',
      scenarios.map(({ scenario }) => scenario.name)
    ),
    line('  seconds', (report) => report.seconds, 2),
    line('  round trips', (report) => report.roundTrips),
    line('  index, bytes', (report) => report.indexBytes),
    line('  rows, bytes', (report) => report.dataBytes),
    line('  rows shipped', (report) => report.rowsShipped),
    line('  rows that had to be', (report) => report.rowsNeeded),
    line('  shipped / had to be', (report) => report.rowsShippedOverNeeded, 3),
    line('  all bytes / bytes of rows', (report) => report.allBytesOverRowBytes, 3),
    line('  index bytes for each row', (report) => report.indexBytesPerRow, 1),
    line('  rows a second', (report) => report.rowsPerSecond),
    line('  server CPU, seconds', (report) => report.serverCpuSeconds, 2)
  ]
  if (scenarios.some(({ scenario }) => scenario.underLoad)) {
    lines.push(
      line('  foreground p99 before, ms', (report) => report.p99BeforeMs, 2),
      line('  foreground p99 during, ms', (report) => report.p99DuringMs, 2)
    )
  }
  return `${lines.join('\n')}\n\n${describeProof(proof)}\n`
}

const labelWidth = 30
const figureWidth = 14

function show(figure: Spread | null, digits: number): string {
  if (figure === null) return '-'
  return new Intl.NumberFormat('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits
  }).format(figure.median)
}

function row(label: string, cells: readonly string[]): string {
  return label.padEnd(labelWidth) + cells.map((cell) => cell.padStart(figureWidth)).join('')
}
