import type { SessionCounters, SessionOutcome } from '../../repair/session-outcome.ts'

export interface ExchangeRequest {
  readonly peer: string
  readonly partitions: readonly number[]
  /** Of the partitions those whose trees both sides recompute from the rows first. */
  readonly recompute: readonly number[]
  /** Finds differences, ships nothing. */
  readonly dryRun: boolean
  readonly onProgress: (counters: SessionCounters) => void
}

export interface RunningExchange {
  /** Never rejects. */
  readonly done: Promise<SessionOutcome>
  /** From now on this side writes nothing on its behalf. */
  cancel(reason: string): void
}

/** Begins an exchange with a peer. */
export type BeginExchange = (request: ExchangeRequest) => RunningExchange
