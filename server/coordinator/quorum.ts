import { AnnealError } from '../../core/errors.ts'
import { majority } from '../../ring/bucket-record.ts'
import type { QuorumSpec } from '../../ring/cluster-document.ts'
import type { Replication } from '../../ring/ring.ts'

/** At least `needed` of these replicas. */
export interface QuorumGroup {
  readonly replicas: readonly string[]
  readonly needed: number
}

/** Every group must have its number. One group, unless regions count apart. */
export type Quorum = readonly QuorumGroup[]

export interface QuorumContext {
  readonly replication: Replication
  /** The replicas that the ring names, in order of preference; fewer than configured in a small cluster. */
  readonly replicas: readonly string[]
  readonly regionOf: (replica: string) => string
  readonly ownRegion: string
}

export function replicaCount(replication: Replication): number {
  if ('n' in replication) return replication.n
  let sum = 0
  for (const count of replication.regions.values()) sum += count
  return sum
}

/**
 * What a request's `r` or `w` asks for, at one key.
 *
 * Errors: `bad_parameter` for a number above the number of replicas; `parameter` names it.
 */
export function resolveQuorum(
  spec: QuorumSpec,
  parameter: 'r' | 'w',
  context: QuorumContext
): Quorum {
  const { replicas, replication } = context
  const total = replicaCount(replication)
  if (typeof spec === 'number') {
    if (spec < 1 || spec > total) {
      throw new AnnealError(
        'bad_parameter',
        `${parameter} is ${spec}, and a key has ${total} replicas: give a number from 1 to ${total}`,
        { parameter }
      )
    }
    return [{ replicas, needed: spec }]
  }
  if (spec === 'one') return [{ replicas, needed: 1 }]
  if (spec === 'all') return [{ replicas, needed: total }]
  if (spec === 'quorum' || 'n' in replication) return [{ replicas, needed: majority(total) }]
  const regions = [...replication.regions].map(([region, count]) => ({
    region,
    group: {
      replicas: replicas.filter((replica) => context.regionOf(replica) === region),
      needed: majority(count)
    }
  }))
  if (spec === 'each_quorum') return regions.map(({ group }) => group)
  const local = regions.find(({ region }) => region === context.ownRegion)
  return local === undefined ? [{ replicas, needed: majority(total) }] : [local.group]
}

export interface QuorumNumbers {
  readonly needed: number
  readonly answered: number
  readonly asked: number
}

/** By how much a quorum was missed. Of several groups it is the first that fell short: others cannot make up for it. */
export function shortfall(
  quorum: Quorum,
  answered: (replica: string) => boolean,
  asked: (replica: string) => boolean
): QuorumNumbers {
  const numbers = quorum.map(({ replicas, needed }) => ({
    needed,
    answered: replicas.filter(answered).length,
    asked: replicas.filter(asked).length
  }))
  const [first = { needed: 0, answered: 0, asked: 0 }] = numbers
  return numbers.find((group) => group.answered < group.needed) ?? first
}

/** All of them, wherever a question about a replica is asked. */
export const anyReplica = (): boolean => true

/** Whether these replicas, and no others, could make up the quorum. */
export function canBeMet(quorum: Quorum, available: (replica: string) => boolean): boolean {
  for (const { replicas, needed } of quorum) {
    let count = 0
    for (const replica of replicas) if (available(replica)) count++
    if (count < needed) return false
  }
  return true
}
