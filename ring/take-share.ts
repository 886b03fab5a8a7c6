import { type Apportionment, apportionLosses } from './apportion.ts'
import { type PartitionLayout, unowned } from './partition-layout.ts'

/**
 * Lets a joiner take its fair share from those present, one partition at a time: always the one, of those that may
 * still be taken, where the change of owner relieves crowding most or adds least to it. Nothing else moves.
 */
export function takeShare(
  layout: PartitionLayout,
  present: readonly number[],
  joiner: number
): void {
  layout.spaceFor([...present, joiner])
  const seats = apportionLosses(layout, present, joiner)
  const costs = Float64Array.from(layout.owners, (_, partition) =>
    takingCost(layout, partition, joiner)
  )
  for (let remaining = seats.remaining; remaining > 0; remaining--) {
    const taken = cheapest(layout, seats, costs, joiner)
    seats.use(layout.ownerOf(taken))
    layout.assign(taken, joiner)
    for (const near of layout.neighbours(taken)) costs[near] = takingCost(layout, near, joiner)
  }
}

function takingCost(layout: PartitionLayout, partition: number, joiner: number): number {
  const owner = layout.ownerOf(partition)
  return layout.crowding(partition, joiner) - layout.crowding(partition, owner)
}

/** Of partitions that are equally cheap the lot decides, which scatters them over the ring. */
function cheapest(
  layout: PartitionLayout,
  seats: Apportionment,
  costs: Float64Array,
  joiner: number
): number {
  let best = unowned
  let bestCost = Number.POSITIVE_INFINITY
  let bestLot = 0
  for (let partition = 0; partition < costs.length; partition++) {
    const cost = costs[partition] ?? Number.POSITIVE_INFINITY
    if (cost > bestCost || !seats.allows(layout.ownerOf(partition))) continue
    const lot = layout.lot(partition, joiner)
    if (cost === bestCost && lot >= bestLot) continue
    best = partition
    bestCost = cost
    bestLot = lot
  }
  return best
}
