import { apportionGains } from './apportion.ts'
import { type PartitionLayout, spacingWanted } from './partition-layout.ts'
import { takeShare } from './take-share.ts'

/**
 * Lays the whole ring out from nothing for the members that were there first. As many of every zone as the smallest
 * zone has are striped around the ring; the others then take their shares one after another, because a stripe with a
 * zone in it twice gives some of that zone's members far more to replicate than others.
 */
export function layFounders(layout: PartitionLayout, founders: readonly number[]): void {
  const zones = [...Map.groupBy(founders, (founder) => layout.zoneOf(founder)).values()]
  const sizes = zones.map((members) => members.length)
  const striped = Math.min(...sizes)
  stripe(
    layout,
    zones.map((members) => members.slice(0, striped))
  )
  const present = zones.flatMap((members) => members.slice(0, striped))
  for (let rank = striped; rank < Math.max(...sizes); rank++) {
    for (const next of zones.flatMap((members) => members.slice(rank, rank + 1))) {
      takeShare(layout, present, next)
      present.push(next)
    }
  }
}

/** Zones take turns, and within a zone its members do, everybody as often as its share of the partitions says. */
function stripe(layout: PartitionLayout, zones: readonly (readonly number[])[]): void {
  const partitions = layout.owners.length
  const quotas = quotasOf(layout, zones.flat())
  const turns = new Turns(
    zones.map((members) => new Turns(members, (member) => quotas[member] ?? 0)),
    (members) => members.total
  )
  for (let partition = 0; partition < partitions; partition++) {
    layout.assign(partition, turns.next().next())
  }
  shuffle(layout, zones.length, spacingOf(zones.flat().length, zones.length))
}

const shuffleRounds = 8
const spacingMin = 3

/** A stripe keeps the partitions of an owner as far apart as there are members; this leaves room to change places. */
function spacingOf(members: number, zones: number): number {
  return Math.min(spacingWanted, Math.max(members - 2 * zones, zones, spacingMin))
}

/**
 * Lets neighbours within a zone change places, as the lot decides, where partitions of one owner stay `spacing` apart.
 * In a strict stripe everybody has the same neighbours everywhere: when one of a few members leaves, nobody could take
 * its partitions without owning one close by, and all would do so in the same way.
 */
function shuffle(layout: PartitionLayout, zones: number, spacing: number): void {
  const partitions = layout.owners.length
  for (let turn = 0; turn < shuffleRounds * partitions; turn++) {
    const here = turn % partitions
    const mine = layout.ownerOf(here)
    const there = (here + zones) % partitions
    const theirs = layout.ownerOf(there)
    if (layout.zoneOf(mine) !== layout.zoneOf(theirs) || layout.lot(turn, mine) % 2 === 0) continue
    layout.assign(here, theirs)
    layout.assign(there, mine)
    if (layout.spacing(here) < spacing || layout.spacing(there) < spacing) {
      layout.assign(here, mine)
      layout.assign(there, theirs)
    }
  }
}

function quotasOf(layout: PartitionLayout, members: readonly number[]): Int32Array {
  const quotas = new Int32Array(layout.claimants.length)
  const seats = apportionGains(layout, members, layout.owners.length)
  for (const member of members) {
    while (seats.allows(member)) {
      seats.use(member)
      quotas[member] = (quotas[member] ?? 0) + 1
    }
  }
  return quotas
}

/**
 * Smooth weighted round robin, as nginx does it: every turn raises each one's credit by its share, and the greatest
 * credit is served and pays the total. After `total` turns everybody has been served exactly its share of times and all
 * credits are back at zero, so that the end of the ring meets its beginning as if it went on.
 */
class Turns<Item> {
  readonly total: number
  readonly #items: readonly Item[]
  readonly #shares: readonly number[]
  readonly #credits: number[]

  /** At least one item, not all of them with a share of zero. */
  constructor(items: readonly Item[], shareOf: (item: Item) => number) {
    this.#items = items
    this.#shares = items.map(shareOf)
    this.#credits = items.map(() => 0)
    this.total = this.#shares.reduce((sum, share) => sum + share, 0)
  }

  next(): Item {
    let served = 0
    let greatest = Number.NEGATIVE_INFINITY
    for (const [index, share] of this.#shares.entries()) {
      const credit = (this.#credits[index] ?? 0) + share
      this.#credits[index] = credit
      if (credit > greatest) {
        greatest = credit
        served = index
      }
    }
    this.#credits[served] = greatest - this.total
    return this.#items[served] as Item
  }
}
