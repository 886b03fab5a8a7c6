import { AnnealError } from '../../core/errors.ts'
import type { Clock, RandomSource, Timers } from '../../core/ports.ts'
import type { HintsElsewhere } from '../../repair/hints-elsewhere.ts'
import type { Replication } from '../../ring/ring.ts'
import { partitionOf, tokenOf } from '../../ring/token.ts'
import { makeObjectKey, type ObjectKey } from '../../storage/keys.ts'
import type { ClusterState } from '../cluster-state.ts'
import type { LocalHints } from '../local-hints.ts'
import type { LocalReplica } from '../local-replica.ts'
import type { PeerRequests } from '../peer/peers.ts'
import type { QuorumContext, QuorumNumbers } from './quorum.ts'
import { StandIns } from './stand-ins.ts'

/** What both coordinators stand on. */
export interface CoordinatorContext {
  readonly selfId: string
  readonly region: string
  readonly replication: Replication
  readonly cluster: ClusterState
  readonly peers: PeerRequests
  readonly local: LocalReplica
  /** Null where hinted handoff is turned off; then nobody stands in for anybody. */
  readonly hints: LocalHints | null
  readonly elsewhere: HintsElsewhere
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  /** Whether this node takes writes at the moment. */
  readonly acceptsWrites: () => boolean
}

export function keyOf(bucket: Uint8Array, key: Uint8Array): ObjectKey {
  return makeObjectKey(tokenOf(bucket, key), bucket, key)
}

export function replicasOf(context: CoordinatorContext, key: ObjectKey): readonly string[] {
  const { ring } = context.cluster
  return ring.replicas(partitionOf(key.token, ring.partitions))
}

/** `region`: the one whose replicas make up a local quorum; by default that of this node. */
export function quorumContext(
  context: CoordinatorContext,
  replicas: readonly string[],
  region = context.region
): QuorumContext {
  const { cluster, replication } = context
  return {
    replication,
    replicas,
    regionOf: (replica) => cluster.member(replica)?.region ?? '',
    ownRegion: region
  }
}

/**
 * Those that may stand in for replicas of the key, by the ring. With regions a node stands in for replicas of its own
 * region only: elsewhere it would count for a quorum of a region that has nothing of the write.
 */
export function standInsFor(
  context: CoordinatorContext,
  key: ObjectKey,
  isHealthy: (id: string) => boolean
): StandIns {
  const { cluster, replication } = context
  const { ring } = cluster
  const partition = partitionOf(key.token, ring.partitions)
  const replicas = ring.replicas(partition)
  const candidates = ring.walk(partition).filter((id) => !replicas.includes(id) && isHealthy(id))
  const regionOf = (id: string) => cluster.member(id)?.region
  return new StandIns(
    candidates,
    (node, replica) => 'n' in replication || regionOf(node) === regionOf(replica)
  )
}

/** Replicas that cannot be reached, as far as this node knows. */
export function downAmong(
  { peers, selfId }: CoordinatorContext,
  replicas: readonly string[]
): string[] {
  return replicas.filter((id) => id !== selfId && !peers.isUp(id))
}

/** For reads, and what is as harmless: nothing is changed by one that is given up. */
export function notInTime(
  what: 'read' | 'listing',
  numbers: QuorumNumbers,
  timeoutMs: number
): AnnealError {
  return new AnnealError(
    'timeout',
    `only ${numbers.answered} of the ${numbers.needed} replicas that the ${what} needs answered within ${timeoutMs} ms`,
    { ...numbers }
  )
}

/** Says which replicas are missing, so that somebody can go and look at them. `behind`: those that refuse reads. */
export function quorumUnavailable(
  context: CoordinatorContext,
  what: 'read' | 'write',
  replicas: readonly string[],
  numbers: QuorumNumbers,
  behind: readonly string[] = []
): AnnealError {
  const { peers, selfId } = context
  const down = downAmong(context, replicas)
  const full =
    what === 'read'
      ? []
      : replicas.filter((id) => id !== selfId && peers.isUp(id) && !peers.acceptsWrites(id))
  const reasons: string[] = []
  if (down.length > 0) reasons.push(`down: ${down.join(', ')}`)
  if (full.length > 0) reasons.push(`with a disk that is nearly full: ${full.join(', ')}`)
  if (behind.length > 0) reasons.push(`still fetching what they have missed: ${behind.join(', ')}`)
  const missing = reasons.length > 0 ? ` (${reasons.join('; ')})` : ''
  return new AnnealError(
    'quorum_unavailable',
    `the ${what} needs ${numbers.needed} replicas, and ${numbers.answered} of ${numbers.asked} answered${missing}`,
    { ...numbers, down }
  )
}
