import { type ExitCode, exitCodes } from './exit.ts'

/** What was looked at, what was found, and what to do about it. */
export interface Check {
  readonly name: string
  readonly outcome: 'ok' | 'warn' | 'fail'
  readonly finding: string
  /** Empty where all is well. */
  readonly advice: string
  /** Whether it is about the cluster as a whole rather than about this machine. */
  readonly isAboutCluster: boolean
}

/** A check of the cluster as a whole; advice is only for where something is wrong. */
export function clusterCheck(
  name: string,
  outcome: Check['outcome'],
  finding: string,
  advice: string
): Check {
  return { name, outcome, finding, advice: outcome === 'ok' ? '' : advice, isAboutCluster: true }
}

/** Failures of this machine make the exit code 1, else those of the cluster 3; warnings leave it at 0. */
export function exitCodeFor(checks: readonly Check[]): ExitCode {
  const failed = checks.filter(({ outcome }) => outcome === 'fail')
  if (failed.length === 0) return exitCodes.ok
  return failed.some((check) => !check.isAboutCluster) ? exitCodes.failed : exitCodes.degraded
}

/** The limits from which on a figure deserves a warning or is a failure. */
export interface Thresholds {
  readonly warn: number
  readonly fail: number
}

/** Grades a figure of which less is better. */
export function gradeAbove(value: number, thresholds: Thresholds): Check['outcome'] {
  if (value > thresholds.fail) return 'fail'
  return value > thresholds.warn ? 'warn' : 'ok'
}

/** Grades a figure of which more is better. */
export function gradeBelow(value: number, thresholds: Thresholds): Check['outcome'] {
  if (value < thresholds.fail) return 'fail'
  return value < thresholds.warn ? 'warn' : 'ok'
}
