import { majority } from '../ring/bucket-record.ts'

/** What is known when a hint comes up. */
export interface HintFacts {
  readonly target: string
  readonly selfId: string
  /** The replicas of the key by the ring of now, in order of preference. */
  readonly replicas: readonly string[]
  /** Whether a node, this one included, can be given something at the moment. */
  readonly canTake: (id: string) => boolean
  readonly isExpired: boolean
  /** Whether this node's own row says all that the hint says. */
  readonly isHeldHere: () => boolean
}

export type HintRoute =
  /** To whom it belongs: the target, or the other replicas where the target is none any more. */
  | ({ readonly kind: 'deliver' } & HintReceivers)
  /** The target has been away for too long: the other replicas get it, and an exchange brings it to the target. */
  | ({ readonly kind: 'handOver' } & HintReceivers)
  /** Too few can take it. `overdue`: although it has expired; not `isForTarget`: the target is no replica any more. */
  | { readonly kind: 'wait'; readonly overdue: boolean; readonly isForTarget: boolean }

/** The hint may go once `needed` of `to` have it on disk, which is at once where that is none. */
interface HintReceivers {
  readonly to: readonly string[]
  readonly needed: number
}

/**
 * Where a hint goes. It never just goes: before it is deleted here the target has it, or a majority of the replicas.
 * It may be one of the copies that an acknowledged write was promised. The others may lie with the very replica that can
 * take it, which already has it: with the hint gone, one lost disk would be the end of the write.
 */
export function routeHint(facts: HintFacts): HintRoute {
  const { target, selfId, replicas, canTake, isExpired, isHeldHere } = facts
  const isForTarget = replicas.includes(target)
  if (isForTarget && canTake(target)) return { kind: 'deliver', to: [target], needed: 1 }
  if (isForTarget && !isExpired) return { kind: 'wait', overdue: false, isForTarget }
  const able = replicas.filter(canTake)
  const enough = majority(replicas.length)
  if (able.length < enough) return { kind: 'wait', overdue: isExpired, isForTarget }
  const isHere = able.includes(selfId) && isHeldHere()
  return {
    kind: isForTarget ? 'handOver' : 'deliver',
    to: isHere ? able.filter((id) => id !== selfId) : able,
    needed: isHere ? enough - 1 : enough
  }
}

/** How long a hint has waited. A clock that went back makes it no younger than new. */
export function hintAgeMs(storedMs: number, nowMs: number): number {
  return Math.max(0, nowMs - storedMs)
}
