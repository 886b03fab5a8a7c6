import { type Apportionment, apportionGains } from './apportion.ts'
import { type PartitionLayout, unowned } from './partition-layout.ts'

/** The best heir for a partition, and how much worse its second best one would be. */
interface Choice {
  readonly heir: number
  readonly regret: number
}

/**
 * Hands a leaver's partitions to those who stay, as many to each as makes shares even again; nothing else moves. Each
 * partition goes where it adds least to crowding, and those are placed first that would regret their second choice
 * most (the regret heuristic of assignment problems).
 */
export function handOver(layout: PartitionLayout, heirs: readonly number[], leaver: number): void {
  const estate = new Set<number>()
  for (const [partition, owner] of layout.owners.entries()) {
    if (owner === leaver) estate.add(partition)
  }
  for (const partition of estate) layout.assign(partition, unowned)
  if (heirs.length === 0) return
  layout.spaceFor(heirs)
  const seats = apportionGains(layout, heirs, estate.size)
  const choices = new Map<number, Choice>()
  while (estate.size > 0) {
    for (const partition of estate) {
      if (!choices.has(partition)) choices.set(partition, choose(layout, heirs, seats, partition))
    }
    const [partition, heir] = mostUrgent(choices)
    layout.assign(partition, heir)
    seats.use(heir)
    estate.delete(partition)
    choices.delete(partition)
    for (const near of layout.neighbours(partition)) choices.delete(near)
    // Whoever has all that it is due is nobody's first or second choice any more.
    if (!seats.allows(heir)) choices.clear()
  }
}

function choose(
  layout: PartitionLayout,
  heirs: readonly number[],
  seats: Apportionment,
  partition: number
): Choice {
  let best = unowned
  let bestCost = Number.POSITIVE_INFINITY
  let secondCost = Number.POSITIVE_INFINITY
  for (const heir of heirs) {
    if (!seats.allows(heir)) continue
    const cost = layout.crowding(partition, heir)
    const luckier = layout.lot(partition, heir) < layout.lot(partition, best)
    if (cost < bestCost || (cost === bestCost && luckier)) {
      secondCost = bestCost
      bestCost = cost
      best = heir
    } else if (cost < secondCost) {
      secondCost = cost
    }
  }
  const only = secondCost === Number.POSITIVE_INFINITY
  return { heir: best, regret: only ? 0 : secondCost - bestCost }
}

/** The first of those with the greatest regret, in the order of partitions, whatever order the map is in. */
function mostUrgent(choices: ReadonlyMap<number, Choice>): [partition: number, heir: number] {
  let urgent = unowned
  let heir = unowned
  let regret = Number.NEGATIVE_INFINITY
  for (const [partition, choice] of choices) {
    if (choice.regret < regret || (choice.regret === regret && partition > urgent)) continue
    urgent = partition
    heir = choice.heir
    regret = choice.regret
  }
  return [urgent, heir]
}
