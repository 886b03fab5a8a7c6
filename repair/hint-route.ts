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
  /** To whom it belongs: the target, or another replica where the target is none any more. */
  | { readonly kind: 'deliver'; readonly to: string }
  /** The target has been away for too long: another replica gets it, and an exchange brings it to the target. */
  | { readonly kind: 'handOver'; readonly to: string }
  /** As `handOver`, where this node itself is that replica and has it already. */
  | { readonly kind: 'drop' }
  /** Nobody can take it. `overdue`: although it has expired; not `isForTarget`: the target is no replica any more. */
  | { readonly kind: 'wait'; readonly overdue: boolean; readonly isForTarget: boolean }

/**
 * Where a hint goes. It never just goes: by every route some replica has it before it is deleted here, since this may
 * be the only copy of an acknowledged write.
 */
export function routeHint(facts: HintFacts): HintRoute {
  const { target, selfId, replicas, canTake, isExpired, isHeldHere } = facts
  const isReplica = replicas.includes(target)
  if (isReplica && canTake(target)) return { kind: 'deliver', to: target }
  if (isReplica && !isExpired) return { kind: 'wait', overdue: false, isForTarget: true }
  if (isExpired && replicas.includes(selfId) && isHeldHere()) return { kind: 'drop' }
  const able = replicas.filter(canTake)
  const to = able.find((id) => id !== selfId) ?? able[0]
  if (to === undefined) return { kind: 'wait', overdue: isExpired, isForTarget: isReplica }
  return { kind: isReplica ? 'handOver' : 'deliver', to }
}

/** How long a hint has waited. A clock that went back makes it no younger than new. */
export function hintAgeMs(storedMs: number, nowMs: number): number {
  return Math.max(0, nowMs - storedMs)
}
