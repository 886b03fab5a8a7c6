/**
 * Who stands in for the replicas of one key that cannot be reached, for one request (Dynamo's sloppy quorum, DeCandia
 * et al. 2007, section 4.6). Each node stands in for one replica at the most, so that counting replicas still counts
 * distinct nodes.
 */
export class StandIns {
  readonly #free: string[]
  readonly #mayStandInFor: (node: string, replica: string) => boolean

  /** `candidates`: healthy nodes that are no replicas of the key, in the order of the ring. */
  constructor(
    candidates: readonly string[],
    mayStandInFor: (node: string, replica: string) => boolean
  ) {
    this.#free = [...candidates]
    this.#mayStandInFor = mayStandInFor
  }

  /** Null where nobody is left. Whoever was taken once is not taken again, however that ended. */
  take(replica: string): string | null {
    const at = this.#free.findIndex((node) => this.#mayStandInFor(node, replica))
    const [taken] = at < 0 ? [] : this.#free.splice(at, 1)
    return taken ?? null
  }

  /** Takes this very node for the first of the replicas that it may stand in for; null where there is none. */
  takeNode(node: string, replicas: readonly string[]): string | null {
    const replica = replicas.find((id) => this.#mayStandInFor(node, id))
    const at = this.#free.indexOf(node)
    if (replica === undefined || at < 0) return null
    this.#free.splice(at, 1)
    return replica
  }
}

/** What becomes of a write at the replicas that cannot be reached when it begins. */
export interface StandInPlan {
  readonly down: readonly string[]
  /** By replica: another node that keeps the write for it, and counts in its place. */
  readonly standIns: ReadonlyMap<string, string>
  /** The replica in whose place this node itself counts, which is no replica of the key; null where it is one. */
  readonly own: string | null
  /** Replicas that nobody stands in for: this node keeps the write for them, and does not count. */
  readonly kept: readonly string[]
}

/**
 * `free` is null where only replicas count. `fallback` is this node where it coordinates without being a replica: it
 * always keeps the write for somebody, since what it has minted must lie somewhere before anybody is sent it.
 */
export function planStandIns(
  replicas: readonly string[],
  isUp: (replica: string) => boolean,
  free: StandIns | null,
  fallback: string | null
): StandInPlan {
  const down = replicas.filter((replica) => !isUp(replica))
  const upLast = [...down, ...replicas.filter(isUp)]
  const own = fallback === null || free === null ? null : free.takeNode(fallback, upLast)
  const standIns = new Map<string, string>()
  const kept: string[] = []
  for (const replica of down) {
    if (replica === own) continue
    const node = free?.take(replica) ?? null
    if (node === null) kept.push(replica)
    else standIns.set(replica, node)
  }
  if (fallback !== null && own === null && kept.length === 0) kept.push(...upLast.slice(0, 1))
  return { down, standIns, own, kept }
}
