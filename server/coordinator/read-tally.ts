import { equalBytes } from '../../core/bytes.ts'
import { noBytes } from '../../proto/wire-format.ts'
import {
  type ConflictMode,
  hashObject,
  merge,
  type Version,
  type Versions
} from '../../storage/version.ts'
import { canBeMet, type Quorum, type QuorumGroup, type QuorumNumbers, shortfall } from './quorum.ts'

/**
 * What one replica said to a read. `damaged`: it holds something that it cannot read, and must be given a copy.
 * `unknown`: it did not answer in time. `behind`: its data is older than what its peers have proven, so it refuses.
 */
export type ReadAnswer =
  | {
      readonly kind: 'versions'
      readonly versions: Versions
      readonly objectHash: Uint8Array
      /** The name of the replica's watermark; absent where it was not worth telling. */
      readonly watermark?: Uint8Array
    }
  | { readonly kind: 'damaged' }
  | { readonly kind: 'failed'; readonly unknown: boolean; readonly behind?: boolean }

/** What to do next. */
export type ReadDecision =
  | { readonly kind: 'wait' }
  | { readonly kind: 'ask'; readonly replicas: readonly string[] }
  | { readonly kind: 'answer'; readonly versions: Versions }
  | { readonly kind: 'fail'; readonly timedOut: boolean }

const wait: ReadDecision = { kind: 'wait' }

/**
 * Counts the answers to one read: fed with what each replica said, it tells whether to wait, to ask further replicas,
 * to answer, or to give up (as riak_kv_get_core does). It never answers before the quorum of distinct replicas is met.
 */
export class ReadTally {
  readonly #quorum: Quorum
  readonly #replicas: readonly string[]
  readonly #mode: ConflictMode
  readonly #asked = new Set<string>()
  readonly #answers = new Map<string, ReadAnswer>()
  /** Replicas that others have answered for; nearly always none. */
  readonly #stoodInFor: string[] = []
  #decided = false
  #extra = 0

  /** `replicas` in the order in which they are asked; the groups of the quorum are subsets. */
  constructor(replicas: readonly string[], quorum: Quorum, mode: ConflictMode) {
    this.#replicas = replicas
    this.#quorum = quorum
    this.#mode = mode
  }

  /** The replicas to begin with; `all` consults every one of them, to find the stale. */
  start(all: boolean): readonly string[] {
    return this.#ask(all ? this.#replicas : this.#quorum.flatMap((group) => this.#missing(group)))
  }

  get answered(): number {
    let count = 0
    for (const answer of this.#answers.values()) if (answer.kind === 'versions') count++
    return count
  }

  /** How many of the answers are those of stand-ins. */
  get hinted(): number {
    return this.#stoodInFor.filter((id) => this.#answers.get(id)?.kind === 'versions').length
  }

  get asked(): number {
    return this.#asked.size
  }

  /** By how much the quorum is missed; those that stand in know too little to be counted. */
  get shortfall(): QuorumNumbers {
    const isIn = (id: string) => this.#answers.get(id)?.kind === 'versions'
    const answered = (id: string) => isIn(id) && !this.#stoodInFor.includes(id)
    return shortfall(this.#quorum, answered, (id) => this.#asked.has(id))
  }

  /** Whether every replica that was asked has said something. */
  get complete(): boolean {
    return this.#answers.size === this.#asked.size
  }

  /** A replica is slow: one more is asked, where there is one. */
  speculate(): readonly string[] {
    return this.#decided ? [] : this.#askOneMore()
  }

  /** What was found is not new enough for the reader. Answers with whom to ask, or null where all were. */
  widen(): readonly string[] | null {
    if (this.complete && this.#asked.size === this.#replicas.length) return null
    this.#decided = false
    this.#extra = this.answered + 1
    return this.complete ? this.#askOneMore() : []
  }

  /** `byStandIn`: another node has answered in place of the replica; it counts, and is not to be repaired. */
  add(replica: string, answer: ReadAnswer, byStandIn = false): ReadDecision {
    if (!this.#asked.has(replica) || this.#answers.has(replica)) return wait
    if (byStandIn) this.#stoodInFor.push(replica)
    this.#answers.set(replica, answer)
    return this.#decided ? wait : this.#decide()
  }

  /**
   * What replicas have answered, where they have not all answered the same; else nothing. What another node shows in place
   * of a replica is among it, and may have been let go by those that are there; it has let go of nothing itself.
   */
  differing(): { replica: string; versions: Versions; watermark: Uint8Array | null }[] {
    if (!this.#differ()) return []
    return [...this.#answers].flatMap(([replica, answer]) => {
      if (answer.kind !== 'versions') return []
      const { versions, watermark = null } = answer
      const isStandIn = this.#stoodInFor.includes(replica)
      return [{ replica, versions, watermark: isStandIn ? noBytes : watermark }]
    })
  }

  #differ(): boolean {
    let hash: Uint8Array | null = null
    for (const answer of this.#answers.values()) {
      if (answer.kind !== 'versions') continue
      if (hash !== null && !equalBytes(hash, answer.objectHash)) return true
      hash = answer.objectHash
    }
    return false
  }

  /** The merge of all that was answered so far, without the versions that `isHidden` picks. */
  mergedWithout(isHidden: (version: Version) => boolean): Versions {
    let merged: Versions = []
    for (const answer of this.#answers.values()) {
      if (answer.kind !== 'versions') continue
      merged = merge(
        merged,
        answer.versions.filter((version) => !isHidden(version)),
        this.#mode
      )
    }
    return merged
  }

  /** The merge of all that was answered so far. */
  merged(): Versions {
    let merged: Versions | null = null
    let hash: Uint8Array | null = null
    for (const answer of this.#answers.values()) {
      if (answer.kind !== 'versions') continue
      // Replicas agree nearly always; then there is nothing to merge.
      if (hash !== null && equalBytes(hash, answer.objectHash)) continue
      merged = merge(merged ?? [], answer.versions, this.#mode)
      hash ??= answer.objectHash
    }
    return merged ?? []
  }

  /** The replicas that refused because they are behind. */
  get behind(): string[] {
    return [...this.#answers].flatMap(([replica, answer]) =>
      answer.kind === 'failed' && answer.behind === true ? [replica] : []
    )
  }

  /** Whether some replica has said that it cannot read its row. */
  get hasDamage(): boolean {
    for (const { kind } of this.#answers.values()) if (kind === 'damaged') return true
    return false
  }

  /**
   * The replicas that cannot read their row, and are to be given `versions`. Nothing is given only where every replica
   * was heard: a damaged row that no other knows of would else be no answer for ever.
   */
  damaged(versions: Versions): string[] {
    if (versions.length === 0 && !this.#allWereHeard()) return []
    const replicas = [...this.#answers].filter(([, { kind }]) => kind === 'damaged')
    return replicas.flatMap(([id]) => (this.#stoodInFor.includes(id) ? [] : [id]))
  }

  /** The replicas that are to be given `versions`: the damaged ones, and those that answered with something else. */
  stale(versions: Versions): string[] {
    const stale = this.damaged(versions)
    if (versions.length === 0) return stale
    let hash: Uint8Array | null = null
    for (const [replica, answer] of this.#answers) {
      if (this.#stoodInFor.includes(replica)) continue
      if (answer.kind !== 'versions' || answer.versions === versions) continue
      hash ??= hashObject(versions)
      if (!equalBytes(answer.objectHash, hash)) stale.push(replica)
    }
    return stale
  }

  #allWereHeard(): boolean {
    return this.#replicas.every((replica) => {
      const kind = this.#answers.get(replica)?.kind
      return (kind === 'versions' || kind === 'damaged') && !this.#stoodInFor.includes(replica)
    })
  }

  #decide(): ReadDecision {
    const isIn = (replica: string) => this.#answers.get(replica)?.kind === 'versions'
    if (canBeMet(this.#quorum, isIn) && this.answered >= this.#extra) return this.#answer()
    const isPossible = (replica: string) => {
      const answer = this.#answers.get(replica)
      return answer === undefined || answer.kind === 'versions'
    }
    if (!canBeMet(this.#quorum, isPossible)) {
      this.#decided = true
      return { kind: 'fail', timedOut: this.#someUnknown() }
    }
    const replicas = this.#ask(this.#quorum.flatMap((group) => this.#missing(group)))
    if (replicas.length > 0) return { kind: 'ask', replicas }
    if (!this.complete) return wait
    // Widened, and nobody is left to ask: what there is must do.
    return this.#answer()
  }

  /**
   * Nodes that stand in know only of what was written since the replicas went away: where nobody else was heard, that
   * they have nothing does not mean that there is nothing.
   */
  #answer(): ReadDecision {
    const versions = this.merged()
    if (versions.length === 0 && this.#stoodInFor.length > 0 && this.hinted === this.answered) {
      const replicas = this.#askOneMore()
      if (replicas.length > 0) return { kind: 'ask', replicas }
      if (!this.complete) return wait
      this.#decided = true
      return { kind: 'fail', timedOut: this.#someUnknown() }
    }
    this.#decided = true
    return { kind: 'answer', versions }
  }

  /** Of a group, those that have to be asked now so that it can reach its number. */
  #missing({ replicas, needed }: QuorumGroup): string[] {
    let possible = 0
    for (const replica of replicas) {
      if (!this.#asked.has(replica)) continue
      const answer = this.#answers.get(replica)
      if (answer === undefined || answer.kind === 'versions') possible++
    }
    if (possible >= needed) return []
    const unasked = replicas.filter((replica) => !this.#asked.has(replica))
    return unasked.slice(0, needed - possible)
  }

  #askOneMore(): string[] {
    const next = this.#replicas.find((replica) => !this.#asked.has(replica))
    return next === undefined ? [] : this.#ask([next])
  }

  #ask(replicas: readonly string[]): string[] {
    const added = replicas.filter((replica) => !this.#asked.has(replica))
    for (const replica of added) this.#asked.add(replica)
    return added
  }

  #someUnknown(): boolean {
    for (const answer of this.#answers.values()) {
      if (answer.kind === 'failed' && answer.unknown) return true
    }
    return false
  }
}
