import { hash64 } from '../core/hash.ts'

/** What a claim on partitions depends on. The order of claimants is part of the outcome: sort them by id. */
export interface Claimant {
  readonly id: string
  readonly zone: string
  /** A positive integer: twice the weight, twice the partitions. */
  readonly weight: number
}

/** Nobody owns the partition. */
export const unowned = -1

/** How far apart two partitions of one owner should be; beyond it their distance makes no difference. */
export const spacingWanted = 8

/**
 * What it costs that two partitions at this distance share an owner or a zone. It falls steeply, so that one pair of
 * neighbours is worse than any number of pairs further apart, and fewer replicas need less spacing: the claim serves
 * every replication factor up to `spacingWanted` at once and does not depend on it.
 */
const crowdingAtDistance = Float64Array.from({ length: spacingWanted + 1 }, (_, distance) =>
  distance === 0 ? 0 : 4 ** (spacingWanted - distance)
)

/**
 * Who owns which partition while a claim is worked out. Claimants and partitions are indexes here.
 *
 * Invariant: counts[c] is the number of partitions whose owner is c.
 */
export class PartitionLayout {
  readonly claimants: readonly Claimant[]
  readonly owners: Int32Array
  readonly counts: Int32Array
  readonly weights: Int32Array
  readonly #zones: Int32Array
  readonly #seeds: Int32Array
  readonly #reach: number
  /** Partitions of one zone should be as far apart as there are zones. */
  #zoneReach = 0

  constructor(claimants: readonly Claimant[], partitions: number) {
    this.claimants = claimants
    this.owners = new Int32Array(partitions).fill(unowned)
    this.counts = new Int32Array(claimants.length)
    this.weights = Int32Array.from(claimants, (claimant) => claimant.weight)
    const zones = new Map<string, number>()
    for (const { zone } of claimants) if (!zones.has(zone)) zones.set(zone, zones.size)
    this.#zones = Int32Array.from(claimants, ({ zone }) => zones.get(zone) ?? 0)
    this.#seeds = Int32Array.from(claimants, ({ id }) => seedOf(id))
    this.#reach = Math.min(spacingWanted, Math.floor((partitions - 1) / 2))
  }

  zoneOf(claimant: number): number {
    return this.#zones[claimant] ?? 0
  }

  ownerOf(partition: number): number {
    return this.owners[partition] ?? unowned
  }

  /** The partitions whose crowding changes with the owner of this one. */
  neighbours(partition: number): readonly number[] {
    const { length } = this.owners
    const near: number[] = []
    for (let distance = 1; distance <= this.#reach; distance++) {
      near.push((partition + distance) % length, (partition - distance + length) % length)
    }
    return near
  }

  assign(partition: number, claimant: number): void {
    const before = this.ownerOf(partition)
    if (before !== unowned) this.counts[before] = (this.counts[before] ?? 0) - 1
    if (claimant !== unowned) this.counts[claimant] = (this.counts[claimant] ?? 0) + 1
    this.owners[partition] = claimant
  }

  /** Tells the layout who takes part from now on, because that decides how far apart zones can be. */
  spaceFor(present: readonly number[]): void {
    const zones = new Set(present.map((claimant) => this.zoneOf(claimant)))
    this.#zoneReach = Math.min(zones.size - 1, this.#reach)
  }

  /** What it would cost that `claimant` owned `partition`, everything around it being as it is. */
  crowding(partition: number, claimant: number): number {
    const { owners } = this
    const zone = this.#zones[claimant]
    const last = owners.length - 1
    let cost = 0
    let left = partition
    let right = partition
    for (let distance = 1; distance <= this.#reach; distance++) {
      left = left === 0 ? last : left - 1
      right = right === last ? 0 : right + 1
      const toLeft = owners[left] ?? unowned
      const toRight = owners[right] ?? unowned
      let pairs = (toLeft === claimant ? 1 : 0) + (toRight === claimant ? 1 : 0)
      if (distance <= this.#zoneReach) {
        pairs += (this.#zones[toLeft] === zone ? 1 : 0) + (this.#zones[toRight] === zone ? 1 : 0)
      }
      if (pairs !== 0) cost += pairs * (crowdingAtDistance[distance] ?? 0)
    }
    return cost
  }

  /** Steps to the nearest partition of the same owner, as far as they matter. */
  spacing(partition: number): number {
    const { owners } = this
    const owner = owners[partition]
    for (let distance = 1; distance <= this.#reach; distance++) {
      const left = owners[(partition - distance + owners.length) % owners.length]
      const right = owners[(partition + distance) % owners.length]
      if (left === owner || right === owner) return distance
    }
    return this.#reach + 1
  }

  /** An arbitrary but everywhere equal number for a partition and a claimant, to settle what merit leaves open. */
  lot(partition: number, claimant: number): number {
    // The finalizer of MurmurHash3 over the claimant's seed and the partition.
    let mixed = (this.#seeds[claimant] ?? 0) ^ Math.imul(partition + 1, 0x9e3779b1)
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return (mixed ^ (mixed >>> 16)) >>> 0
  }
}

function seedOf(id: string): number {
  const [a = 0, b = 0, c = 0, d = 0] = hash64(Buffer.from(id))
  return (a << 24) | (b << 16) | (c << 8) | d
}
