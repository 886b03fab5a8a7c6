import { type ForegroundReport, type Phase, reportOf } from './foreground.ts'
import { describeProof, type Proof } from './repair-proof.ts'
import { describeErrors } from './report.ts'

/** What was measured. */
export interface MeasuredHints {
  /** Writing the keys that the lost node missed. */
  readonly fillSeconds: number
  /** From the start of the node until the last hint was handed over. */
  readonly drainSeconds: number
  /** Hints that waited when the node was started, those that the users had left among them. */
  readonly hints: number
  readonly hintBytes: number
  readonly phases: readonly Phase[]
  /** Of the users' writes. */
  readonly errors: Readonly<Record<string, number>>
  readonly proof: Proof
}

export interface PhaseReport extends ForegroundReport {
  readonly name: string
}

export interface HintsReport extends Omit<MeasuredHints, 'phases'> {
  readonly hintsPerSecond: number
  /** Those of one name that followed each other are one, and `worst` is the one with the highest p99 among them. */
  readonly phases: readonly (PhaseReport & { readonly worst: ForegroundReport })[]
}

export function summarizeHints({ phases, ...measured }: MeasuredHints): HintsReport {
  const names = [...new Set(phases.map(({ name }) => name))]
  const reports = names.map((name) => {
    const latencies = phases.filter((phase) => phase.name === name).map(({ latency }) => latency)
    const each = latencies.map((latency) => reportOf(latency))
    const worst = each.reduce((a, b) => (b.p99Ms > a.p99Ms ? b : a))
    return { name, ...reportOf(...latencies), worst }
  })
  const hintsPerSecond = measured.hints / Math.max(measured.drainSeconds, 0.001)
  return { ...measured, hintsPerSecond, phases: reports }
}

/** A table of what users noticed, and what was proven, for people; ends with a line break. */
export function formatHintsReport(report: HintsReport): string {
  const { hints, hintBytes, fillSeconds, drainSeconds, hintsPerSecond, phases, proof } = report
  const errors = describeErrors(new Map(Object.entries(report.errors)))
  const lines = [
    row('hints', [whole.format(hints)]),
    row('  bytes', [whole.format(hintBytes)]),
    row('  written in, seconds', [tenths.format(fillSeconds)]),
    row('  handed over in, seconds', [tenths.format(drainSeconds)]),
    row('  handed over a second', [whole.format(hintsPerSecond)]),
    '',
    row("users' writes", ['operations', 'p50, ms', 'p99, ms', 'worst p99, ms']),
    ...phases.map(({ name, operations, p50Ms, p99Ms, worst }) =>
      row(`  ${name}`, [
        whole.format(operations),
        ...[p50Ms, p99Ms, worst.p99Ms].map((ms) => hundredths.format(ms))
      ])
    ),
    row('  errors', [errors || 'none'])
  ]
  return `${lines.join('\n')}\n\n${describeProof(proof)}\n`
}

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const tenths = fractionOf(1)
const hundredths = fractionOf(2)
const labelWidth = 30
const figureWidth = 14

function fractionOf(digits: number): Intl.NumberFormat {
  return new Intl.NumberFormat('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits
  })
}

function row(label: string, cells: readonly string[]): string {
  return label.padEnd(labelWidth) + cells.map((cell) => cell.padStart(figureWidth)).join('')
}
