import { canBeMet, type Quorum } from './quorum.ts'

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
 * Counts durable acknowledgements from distinct replicas. Each replica counts once, whatever it says how often, and
 * the decision is made once.
 */
export class WriteTally {
  #quorum: Quorum
  #replicas: readonly string[]
  readonly #answers = new Map<string, WriteAnswer>()
  #decided = false

  constructor(replicas: readonly string[], quorum: Quorum) {
    this.#replicas = replicas
    this.#quorum = quorum
  }

  get acknowledged(): number {
    let count = 0
    for (const replica of this.#replicas) if (this.#isAcknowledged(replica)) count++
    return count
  }

  get asked(): number {
    return this.#replicas.length
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
    if (this.#decided) return wait
    if (canBeMet(this.#quorum, (id) => this.#isAcknowledged(id))) {
      this.#decided = true
      return { kind: 'done' }
    }
    if (canBeMet(this.#quorum, (id) => this.#answers.get(id)?.kind !== 'failed')) return wait
    this.#decided = true
    return { kind: 'fail', timedOut: this.#someUnknown() }
  }

  #isAcknowledged(replica: string): boolean {
    return this.#answers.get(replica)?.kind === 'acknowledged'
  }

  #someUnknown(): boolean {
    for (const answer of this.#answers.values()) {
      if (answer.kind === 'failed' && answer.unknown) return true
    }
    return false
  }
}
