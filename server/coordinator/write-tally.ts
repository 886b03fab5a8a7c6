import { canBeMet, type Quorum, type QuorumNumbers, shortfall } from './quorum.ts'

/** What one replica said to a write. `unknown`: it may have stored it all the same. */
export type WriteAnswer =
  | { readonly kind: 'acknowledged' }
  | { readonly kind: 'failed'; readonly unknown: boolean }

export type WriteDecision =
  | { readonly kind: 'wait' }
  | { readonly kind: 'done' }
  | { readonly kind: 'fail'; readonly timedOut: boolean }

const wait: WriteDecision = { kind: 'wait' }

/**
 * Counts durable acknowledgements from distinct nodes: of replicas, each once, whatever it says how often, and of
 * stand-ins, each in place of one replica. The decision is made once.
 */
export class WriteTally {
  #quorum: Quorum
  #replicas: readonly string[]
  readonly #answers = new Map<string, WriteAnswer>()
  /** Who has acknowledged in place of which replica; nearly always nobody. */
  readonly #standIns: { readonly replica: string; readonly node: string }[] = []
  #decided = false
  #isKept = false

  constructor(replicas: readonly string[], quorum: Quorum) {
    this.#replicas = replicas
    this.#quorum = quorum
  }

  get acknowledged(): number {
    let count = 0
    for (const replica of this.#replicas) if (this.#isAcknowledged(replica)) count++
    return count
  }

  /** How many of the acknowledgements are those of stand-ins. */
  get hinted(): number {
    let count = 0
    for (const { replica } of this.#standIns) if (this.#hasStandIn(replica)) count++
    return count
  }

  get asked(): number {
    return this.#replicas.length
  }

  /** By how much the quorum is missed. */
  get shortfall(): QuorumNumbers {
    const isReplica = (id: string) => this.#replicas.includes(id)
    return shortfall(this.#quorum, (id) => this.#isAcknowledged(id), isReplica)
  }

  get decided(): boolean {
    return this.#decided
  }

  /** The ring changed meanwhile: only these replicas count from now on. Answers with those that were not asked yet. */
  changeReplicas(replicas: readonly string[], quorum: Quorum): string[] {
    const added = replicas.filter((replica) => !this.#replicas.includes(replica))
    this.#replicas = replicas
    this.#quorum = quorum
    return added
  }

  add(replica: string, answer: WriteAnswer): WriteDecision {
    if (this.#isAcknowledged(replica)) return wait
    this.#answers.set(replica, answer)
    return this.#decide()
  }

  /** A stand-in has stored the write for the replica. Whoever stands in for another one already counts there. */
  addStandIn(replica: string, node: string): WriteDecision {
    const isIn = this.#standIns.some((other) => other.node === node || other.replica === replica)
    if (isIn || this.#isAcknowledged(replica)) return wait
    this.#standIns.push({ replica, node })
    return this.#decide()
  }

  /** What the node that coordinates keeps for the replicas, not being one of them, is durable. */
  kept(): WriteDecision {
    this.#isKept = true
    return this.#decide()
  }

  /** Nobody waits any longer for those that have not answered: what became of the write is not known. */
  timeOut(): WriteDecision {
    if (this.#decided) return wait
    this.#decided = true
    return { kind: 'fail', timedOut: true }
  }

  #decide(): WriteDecision {
    if (this.#decided) return wait
    if (canBeMet(this.#quorum, (id) => this.#isAcknowledged(id))) {
      if (this.#isFounded()) {
        this.#decided = true
        return { kind: 'done' }
      }
      if (this.#isAnyOutstanding()) return wait
    } else if (canBeMet(this.#quorum, (id) => this.#answers.get(id)?.kind !== 'failed')) return wait
    this.#decided = true
    return { kind: 'fail', timedOut: this.#someUnknown() }
  }

  /**
   * Hints of others alone do not confirm a write. Once its coordinator is gone, everything that it had minted counts as
   * having reached some replica (its last incarnation reports no bound), and a late hint would be taken for a ghost.
   */
  #isFounded(): boolean {
    if (this.#standIns.length === 0 || this.#isKept) return true
    return this.#replicas.some((id) => this.#answers.get(id)?.kind === 'acknowledged')
  }

  // Nearly always the coordinator's own copy will come, unless by a ring that changed meanwhile it is no replica any more.
  #isAnyOutstanding(): boolean {
    return this.#replicas.some((id) => !this.#answers.has(id) && !this.#hasStandIn(id))
  }

  #isAcknowledged(replica: string): boolean {
    return this.#answers.get(replica)?.kind === 'acknowledged' || this.#hasStandIn(replica)
  }

  // By a ring that changed meanwhile a stand-in may be a replica itself, and counts as that one only.
  #hasStandIn(replica: string): boolean {
    if (this.#standIns.length === 0 || !this.#replicas.includes(replica)) return false
    const standIn = this.#standIns.find((other) => other.replica === replica)
    return standIn !== undefined && !this.#replicas.includes(standIn.node)
  }

  #someUnknown(): boolean {
    for (const answer of this.#answers.values()) {
      if (answer.kind === 'failed' && answer.unknown) return true
    }
    return false
  }
}
