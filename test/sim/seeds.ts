import type { LifeParameters } from './life-parameters.ts'

/** A life in which something had gone wrong once. */
export interface FailedSeed {
  readonly seed: number
  readonly override: Partial<LifeParameters>
  /** What it had found. */
  readonly found: string
}

/** Lived anew with every run of the tests: what once went wrong does not do so again unnoticed. */
export const failedSeeds: readonly FailedSeed[] = [
  {
    seed: 1047,
    override: {},
    found: 'a damaged row that no other replica had anything for could not be read from all, ever'
  },
  {
    seed: 1394,
    override: {},
    found: 'likewise, with synced writes: one replica had confirmed, and then its row was damaged'
  }
]
