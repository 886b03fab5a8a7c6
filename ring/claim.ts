import { layFounders } from './founders.ts'
import { handOver } from './hand-over.ts'
import { type Claimant, PartitionLayout } from './partition-layout.ts'
import { takeShare } from './take-share.ts'

/** A claimant with its place in the history of the ring. */
export interface HistoricClaimant extends Claimant {
  /** Sequence number of the topology change that let it in; 0 for founders. */
  readonly joinedAt: number
  /** Sequence number of the change that took it out, greater than `joinedAt`; 0 while it is in. */
  readonly removedAt: number
}

/**
 * The owner of every partition, worked out by replaying the history of the ring: the founders are laid out from
 * nothing, then every join and every removal moves the fair share that it must and nothing else. The answer depends on
 * the records alone, not on their order, so that whoever has the same records has the same ring. It is empty where
 * nobody is left.
 *
 * Compare riak_core's claim, which also moves a ring step by step, but keeps the outcome instead of the history and
 * therefore needs one node to decide; docs/decisions/0001-ring-claim.md has the alternatives.
 */
export function claimPartitions(
  claimants: Iterable<HistoricClaimant>,
  partitions: number
): readonly string[] {
  const sorted = [...claimants].sort((a, b) => (a.id < b.id ? -1 : 1))
  const layout = new PartitionLayout(sorted, partitions)
  const present = new Set<number>()
  for (const change of historyOf(sorted)) apply(layout, present, change)
  if (present.size === 0) return []
  return Array.from(layout.owners, (owner) => sorted[owner]?.id ?? '')
}

/** The claimants, by index, that come or go with one topology change. */
interface Change {
  readonly sequence: number
  readonly kind: 'join' | 'remove'
  readonly claimants: number[]
}

/** In order; joins before removals of one sequence number, so that a replacement never empties the ring. */
function historyOf(claimants: readonly HistoricClaimant[]): readonly Change[] {
  const changes = new Map<string, Change>()
  const note = (sequence: number, kind: 'join' | 'remove', claimant: number): void => {
    const change = changes.get(`${sequence} ${kind}`)
    if (change !== undefined) change.claimants.push(claimant)
    else changes.set(`${sequence} ${kind}`, { sequence, kind, claimants: [claimant] })
  }
  for (const [claimant, { joinedAt, removedAt }] of claimants.entries()) {
    note(joinedAt, 'join', claimant)
    if (removedAt !== 0) note(removedAt, 'remove', claimant)
  }
  const rank = (change: Change): number => (change.kind === 'join' ? 0 : 1)
  return [...changes.values()].sort((a, b) => a.sequence - b.sequence || rank(a) - rank(b))
}

function apply(layout: PartitionLayout, present: Set<number>, change: Change): void {
  if (change.kind === 'join' && present.size === 0) {
    layFounders(layout, change.claimants)
    for (const founder of change.claimants) present.add(founder)
    return
  }
  for (const claimant of change.claimants) {
    if (change.kind === 'join') {
      takeShare(layout, [...present], claimant)
      present.add(claimant)
    } else {
      present.delete(claimant)
      handOver(layout, [...present], claimant)
    }
  }
}
