import { assert } from '../core/assert.ts'
import { ByteWriter, toHex } from '../core/bytes.ts'
import { hash64 } from '../core/hash.ts'
import { claimPartitions } from './claim.ts'
import { clockwiseWalks } from './clockwise-walks.ts'
import type { Member } from './member.ts'
import { partitionsMax } from './token.ts'

/** Copies of every key: in all, or in each region by name. */
export type Replication = { readonly n: number } | { readonly regions: ReadonlyMap<string, number> }

export interface RingOptions {
  /** A power of two up to 65536, fixed for the life of a cluster. */
  readonly partitions: number
  readonly replication: Replication
}

/** Who holds what. A value: it never changes, and equal inputs give equal rings. */
export interface Ring {
  /** 16 hexadecimal digits over exactly what the ring was worked out from; equal epochs mean equal rings. */
  readonly epoch: string
  readonly partitions: number
  /** The first replica of every partition; empty where no member can hold anything. */
  readonly owners: readonly string[]
  /** Ids of all members in the ring, sorted. */
  readonly memberIds: readonly string[]
  /** Those that hold the partition, its owner first; fewer than asked for where there are not enough members. */
  replicas(partition: number): readonly string[]
  /** All members in the ring, replicas first, then in the order in which they stand in for them. */
  walk(partition: number): readonly string[]
}

/**
 * Works the ring out from the records of all members, the removed ones included; any valid records in any order give a
 * ring. With regions each has a claim of its own over all partitions, so that a change in one region moves nothing in
 * the others; members elsewhere hold nothing and stand in last. Where `previous` was worked out from the same, it is
 * the answer.
 */
export function buildRing(
  members: Iterable<Member>,
  options: RingOptions,
  previous: Ring | null = null
): Ring {
  const { partitions, replication } = options
  assertCounts(options)
  const history = [...members]
    .filter((member) => isInRing(member) || wasInRing(member))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const epoch = epochOf(history, options)
  if (previous?.epoch === epoch) return previous
  const memberIds = history.filter(isInRing).map(({ id }) => id)
  const rings = quotasOf(replication).map(({ region, copies }) => {
    const local = region === null ? history : history.filter((member) => member.region === region)
    return regionalRing(local, copies, partitions)
  })
  const preferences = preferencesOf(rings, memberIds, partitions)
  return {
    epoch,
    partitions,
    owners: preferences.flatMap(({ replicas }) => replicas.slice(0, 1)),
    memberIds,
    replicas: (partition) => preferences[partition]?.replicas ?? [],
    walk: (partition) => preferences[partition]?.walk ?? memberIds
  }
}

function assertCounts({ partitions, replication }: RingOptions): void {
  const isPowerOfTwo = partitions >= 1 && Math.log2(partitions) % 1 === 0
  assert(isPowerOfTwo && partitions <= partitionsMax, 'the number of partitions is a power of two')
  for (const { copies } of quotasOf(replication)) {
    assert(Number.isSafeInteger(copies) && copies >= 1, 'there is at least one replica')
  }
}

function isInRing({ state }: Member): boolean {
  return state === 'normal' || state === 'leaving'
}

function wasInRing({ state, joinedAt, removedAt }: Member): boolean {
  return state === 'removed' && removedAt > joinedAt
}

/** A null region stands for the whole cluster. */
interface RegionQuota {
  readonly region: string | null
  readonly copies: number
}

function quotasOf(replication: Replication): readonly RegionQuota[] {
  if ('n' in replication) return [{ region: null, copies: replication.n }]
  return [...replication.regions]
    .map(([region, copies]) => ({ region, copies }))
    .sort((a, b) => (a.region < b.region ? -1 : 1))
}

/** The members of one region, walked clockwise from every partition; the first `copies` of a walk hold it. */
interface RegionalRing {
  readonly copies: number
  readonly weights: ReadonlyMap<string, number>
  readonly walks: readonly (readonly string[])[]
}

function regionalRing(
  history: readonly Member[],
  copies: number,
  partitions: number
): RegionalRing {
  const present = history.filter(isInRing)
  return {
    copies,
    weights: new Map(present.map(({ id, weight }) => [id, weight])),
    walks: clockwiseWalks(claimPartitions(history, partitions), present)
  }
}

interface Preference {
  readonly replicas: readonly string[]
  readonly walk: readonly string[]
}

function preferencesOf(
  rings: readonly RegionalRing[],
  memberIds: readonly string[],
  partitions: number
): readonly Preference[] {
  const inhabited = rings.filter(({ weights }) => weights.size > 0)
  const held = new Map<string, number>()
  return Array.from({ length: partitions }, (_, partition) => {
    const ordered = leastBurdenedFirst(inhabited, partition, held)
    const walks = ordered.map(({ walks, copies }) => ({ walk: walks[partition] ?? [], copies }))
    const replicas = walks.flatMap(({ walk, copies }) => walk.slice(0, copies))
    const owner = replicas[0]
    if (owner !== undefined) held.set(owner, (held.get(owner) ?? 0) + 1)
    const standIns = walks.flatMap(({ walk, copies }) => walk.slice(copies))
    return { replicas, walk: [...new Set([...replicas, ...standIns, ...memberIds])] }
  })
}

/**
 * The region whose candidate owns least for its weight so far provides the owner, so that owning, which decides who is
 * asked first, is spread over the regions too. That moves no data: the replicas are the same in any order.
 */
function leastBurdenedFirst(
  rings: readonly RegionalRing[],
  partition: number,
  held: ReadonlyMap<string, number>
): readonly RegionalRing[] {
  if (rings.length < 2) return rings
  const burden = ({ walks, weights }: RegionalRing): number => {
    const candidate = walks[partition]?.[0] ?? ''
    return (held.get(candidate) ?? 0) / (weights.get(candidate) ?? 1)
  }
  const burdens = new Map(rings.map((ring) => [ring, burden(ring)]))
  return rings.toSorted((a, b) => (burdens.get(a) ?? 0) - (burdens.get(b) ?? 0))
}

/**
 * Raised whenever the same records would give another ring than before, so that a node that works it out in the old
 * way and one that does it in the new are not taken to agree.
 */
const claimVersion = 1

/** Over exactly what the ring depends on: a new address or version of a member leaves the epoch as it is. */
function epochOf(history: readonly Member[], { partitions, replication }: RingOptions): string {
  const quotas = quotasOf(replication)
  const writer = new ByteWriter().uint8(claimVersion).varint(partitions).varint(quotas.length)
  for (const { region, copies } of quotas) {
    writer.uint8(region === null ? 0 : 1).string(region ?? '')
    writer.varint(copies)
  }
  for (const { id, zone, region, weight, joinedAt, removedAt } of history) {
    const known = quotas.find((quota) => quota.region === null || quota.region === region)
    // A member outside all regions holds nothing, now or in the past: that it is there is all that counts.
    if (known === undefined && removedAt > 0) continue
    writer.string(id).uint8(known === undefined ? 0 : 1)
    if (known === undefined) continue
    writer.string(known.region ?? '').string(zone)
    writer.varint(weight).varint(joinedAt).varint(removedAt)
  }
  return toHex(hash64(writer.finish()))
}
