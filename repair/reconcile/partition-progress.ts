import type { PartitionOutcome } from '../session-outcome.ts'
import type { PartitionRef } from './messages.ts'
import type { AbsenceRule, FactName, PartitionSnapshot } from './range-side.ts'

/**
 * Where a partition stands in the session that this node began. `equal`: nothing that counts was found to differ.
 * `again`: what differed was shipped, or something changed on the way; it begins anew from its root.
 */
export type PartitionPhase = 'waiting' | 'comparing' | 'equal' | 'again' | 'over'

export class PartitionProgress {
  readonly partition: number
  phase: PartitionPhase = 'waiting'
  verdict: PartitionOutcome['verdict'] = 'later'
  reason = 'not got to'
  snapshot: PartitionSnapshot | null = null
  peerSnapshot = 0
  /** The peer's watermark as the peer named it. */
  peerWatermark: FactName | null = null
  passes = 0
  keys = 0
  differences = 0
  rowsSent = 0
  rowsReceived = 0
  bytesSent = 0
  bytesReceived = 0
  /** Rows that are still expected to be streamed, where one side holds nothing. */
  rowsToStream = 0
  /** Rows were exchanged in this pass, and the roots were not found equal since. */
  isToBeLookedAt = false
  /** Why rows that were announced did not go over in this pass; empty where all did. */
  missing = ''
  /** A stream brought less than was announced: where one side still holds nothing, the leaves are compared instead. */
  streamedLess = false
  /** What keeps the partition from being called equal whatever is compared again; empty for nothing. */
  obstacle = ''
  /** The pass in which differing keys were counted: those that are met again in the next are not counted again. */
  #countedPass = 0

  constructor(partition: number) {
    this.partition = partition
  }

  begin(snapshot: PartitionSnapshot): void {
    this.phase = 'comparing'
    this.snapshot = snapshot
    this.passes++
    this.isToBeLookedAt = false
    this.missing = ''
    this.obstacle = ''
    if (this.passes === 1) this.keys = snapshot.keys
  }

  get ref(): PartitionRef {
    return {
      partition: this.partition,
      snapshot: this.snapshot?.id ?? 0,
      peerSnapshot: this.peerSnapshot
    }
  }

  absence(nowMs: number): AbsenceRule {
    return { watermark: this.peerWatermark, nowMs }
  }

  /** A key was found to differ; says whether it counts. */
  countDifference(): boolean {
    if (this.#countedPass === 0) this.#countedPass = this.passes
    if (this.#countedPass !== this.passes) return false
    this.differences++
    return true
  }

  /** A row that was announced did not go over: it changed meanwhile, or cannot be read; the next pass tells which. */
  miss(reason: string): void {
    this.isToBeLookedAt = true
    this.missing = reason
  }

  end(verdict: PartitionOutcome['verdict'], reason: string): void {
    this.phase = 'over'
    this.verdict = verdict
    this.reason = reason
    this.snapshot = null
  }

  /** `roundTrips` are those of the session: its partitions share them. */
  outcomeAfter(roundTrips: number): PartitionOutcome {
    const { verdict, reason, differences, rowsSent, rowsReceived } = this
    const { bytesSent, bytesReceived } = this
    return {
      verdict,
      reason,
      differences,
      rowsSent,
      rowsReceived,
      bytesSent,
      bytesReceived,
      roundTrips
    }
  }
}
