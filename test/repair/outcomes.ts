import {
  noCounters,
  type PartitionOutcome,
  type SessionCounters,
  type SessionOutcome
} from '../../repair/session-outcome.ts'

export function partitionOutcome(
  verdict: PartitionOutcome['verdict'],
  reason = ''
): PartitionOutcome {
  return {
    verdict,
    reason,
    differences: 0,
    rowsSent: 0,
    rowsReceived: 0,
    bytesSent: 0,
    bytesReceived: 0,
    roundTrips: 1
  }
}

/** An exchange that was carried out; `others` came out otherwise than equal. */
export function doneOutcome(
  equal: readonly number[],
  others: Readonly<Record<number, PartitionOutcome>> = {},
  counters: Partial<SessionCounters> = {}
): SessionOutcome {
  const partitions = new Map(equal.map((id) => [id, partitionOutcome('equal')]))
  for (const [id, outcome] of Object.entries(others)) partitions.set(Number(id), outcome)
  return {
    end: 'done',
    reason: '',
    partitions,
    recomputed: [],
    counters: { ...noCounters, ...counters }
  }
}

export function failedOutcome(
  reason: string,
  end: 'failed' | 'busy' | 'cancelled' = 'failed'
): SessionOutcome {
  return { end, reason, partitions: new Map(), recomputed: [], counters: noCounters }
}
