import type { PairReport, PairState } from '../repair/repair-report.ts'

/** How a partition of this node stands with all its other replicas together. */
export interface PartitionStanding {
  readonly id: number
  readonly state: PairState
  /** Seconds since 1970 of the oldest proof that it was equal; null: with some replica it never was. */
  readonly equalAt: number | null
}

/** From the best to the worst; what runs is told as such whatever it was before. */
const order: readonly PairState[] = ['equal', 'waiting', 'never', 'differs', 'running']

/** The worst of what is known about each partition. */
export function partitionStandings(pairs: readonly PairReport[]): readonly PartitionStanding[] {
  const standings = new Map<number, PartitionStanding>()
  for (const { partition, state, lastRepaired } of pairs) {
    const equalAt = lastRepaired === null ? null : Math.floor(Date.parse(lastRepaired) / 1000)
    const before = standings.get(partition)
    if (before === undefined) standings.set(partition, { id: partition, state, equalAt })
    else {
      const worse = order.indexOf(state) > order.indexOf(before.state) ? state : before.state
      const oldest =
        equalAt === null || before.equalAt === null ? null : Math.min(equalAt, before.equalAt)
      standings.set(partition, { id: partition, state: worse, equalAt: oldest })
    }
  }
  return [...standings.values()].sort((a, b) => a.id - b.id)
}
