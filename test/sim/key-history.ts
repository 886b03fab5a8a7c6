/** The number of a write in a life; its value says it. */
export type WriteId = number

/** So many replicas held a write at a moment, and all that its coordinator held then. */
export interface Confirmation {
  readonly atMs: number
  readonly replicas: number
  /** With those that keep it for replicas, which have it in the end. */
  readonly copies: number
}

/** A write as its client knows it. */
export interface WriteRecord {
  readonly id: WriteId
  readonly kind: 'put' | 'delete'
  /** Everything that its writer had been shown, directly or through what it was shown. */
  readonly seen: ReadonlySet<WriteId>
  /** A delete without a context takes with it whatever the coordinator held. */
  readonly takesAll: boolean
  readonly invokedMs: number
  readonly node: string
  /** Empty where its outcome is not known; the first is its own acknowledgement. */
  readonly confirmations: Confirmation[]
  /** The node that coordinated it, and which of its lives that was; null where that is not certain. */
  coordinator: string | null
}

/** One thing that happened to a key, for people. */
export interface KeyEvent {
  readonly atMs: number
  readonly text: string
}

export interface ReadObservation {
  readonly node: string
  readonly invokedMs: number
  /** The writes whose values were shown. */
  readonly shown: readonly WriteId[]
  readonly replicas: number
  /** Everything that was kept for replicas has been handed over. */
  readonly atEnd?: boolean
}

/**
 * The true history of one key: for each write what its writer had really been shown. Version vectors stand for this
 * truth, and the checks hold the one against the other.
 */
export class KeyHistory {
  readonly name: string
  readonly events: KeyEvent[] = []
  readonly #mode: 'siblings' | 'lww'
  readonly #writes = new Map<WriteId, WriteRecord>()
  readonly #closures = new WeakMap<readonly WriteId[], ReadonlySet<WriteId>>()

  constructor(name: string, mode: 'siblings' | 'lww') {
    this.name = name
    this.#mode = mode
  }

  get writes(): Iterable<WriteRecord> {
    return this.#writes.values()
  }

  note(atMs: number, text: string): void {
    this.events.push({ atMs, text })
  }

  begin(record: WriteRecord): void {
    this.#writes.set(record.id, record)
    const what = record.takesAll ? 'delete all' : record.kind
    this.note(
      record.invokedMs,
      `${record.node}: ${what} ${record.id}, having seen ${list(record.seen)}`
    )
  }

  /** `copies`: with those that others keep for replicas. */
  acknowledge(record: WriteRecord, atMs: number, replicas: number, copies = replicas): void {
    record.confirmations.push({ atMs, replicas, copies })
    const others = copies > replicas ? `, kept for ${copies - replicas} more` : ''
    this.note(atMs, `${record.node}: ${record.id} acknowledged by ${replicas}${others}`)
  }

  /**
   * A coordinator sends out all that it holds, never the new version alone: what it had acknowledged before, and not
   * forgotten since, is now where this write is.
   */
  carryAlong(record: WriteRecord, confirmation: Confirmation): void {
    for (const earlier of this.#writes.values()) {
      const [first] = earlier.confirmations
      if (earlier.coordinator === null || earlier.coordinator !== record.coordinator) continue
      if (earlier !== record && first !== undefined && first.atMs < record.invokedMs) {
        earlier.confirmations.push(confirmation)
      }
    }
  }

  fail(record: WriteRecord, atMs: number, code: string): void {
    this.note(atMs, `${record.node}: ${record.id} failed, ${code}`)
  }

  /** All that somebody has been shown who sees these values. */
  closure(shown: Iterable<WriteId>): Set<WriteId> {
    const seen = new Set<WriteId>()
    for (const id of shown) {
      seen.add(id)
      for (const earlier of this.#writes.get(id)?.seen ?? []) seen.add(earlier)
    }
    return seen
  }

  /**
   * What is wrong with a read; empty where nothing is. `n`: the replicas of a key, and as many more as have forgotten
   * something that they had confirmed.
   */
  judge(read: ReadObservation, n: number): string[] {
    return [
      ...this.#inventions(read),
      ...this.#overwrittenBeside(read),
      ...this.#missing(read, n),
      ...this.#revived(read, n)
    ]
  }

  /**
   * After the faults, on all replicas: every acknowledged write is there, or overwritten by what had seen it, as long
   * as more replicas had confirmed it than have forgotten something since.
   */
  judgeEnd(shown: readonly WriteId[], copiesLost: number): string[] {
    const replicas = Number.MAX_SAFE_INTEGER
    const invokedMs = Number.POSITIVE_INFINITY
    const read = { node: 'all', invokedMs, shown, replicas, atEnd: true }
    return this.judge(read, replicas + copiesLost)
  }

  /** Whether some write has overwritten or deleted it, or may have. */
  mayBeOverwritten(id: WriteId): boolean {
    if (this.#mode === 'lww') return true
    for (const { seen, kind, takesAll } of this.#writes.values()) {
      if (seen.has(id) || (kind === 'delete' && takesAll)) return true
    }
    return false
  }

  /**
   * What is wrong with a read that was to be as new as a context that has seen these. What all who had confirmed it have
   * forgotten counts as gone, once the others are known to be equal.
   */
  judgeNewness(shown: readonly WriteId[], seen: Iterable<WriteId>, copiesLost: number): string[] {
    const known = this.closure(shown)
    const mayBeLost = (write: WriteRecord) => copiesLost > 0 && mostReplicas(write) <= copiesLost
    const isThere = (write: WriteRecord) =>
      write.kind === 'delete' ||
      known.has(write.id) ||
      mayBeLost(write) ||
      this.#mayBeGone(write, shown)
    return [...seen]
      .flatMap((id) => this.#writes.get(id) ?? [])
      .filter((write) => !isThere(write))
      .map(({ id }) => `shows nothing that knows of ${id}, which its context had seen`)
  }

  /**
   * Given what lies on each disk: every acknowledged write is on as many as have confirmed it, or something is that has
   * seen it, and what it has overwritten is not.
   */
  judgeCopies(disks: readonly (readonly WriteId[])[], copiesLost: number): string[] {
    const wrong: string[] = []
    for (const write of this.#writes.values()) {
      const needed = mostReplicas(write) - copiesLost
      if (needed <= 0) continue
      const copies = disks.filter((held) => this.#hasMet(held, write))
      if (copies.length >= needed) continue
      const disksHold = disks.map((held) => `[${held.join(' ')}]`).join(' ')
      wrong.push(
        `${write.kind} ${write.id} is on ${copies.length} disks, and ${needed} should have it: ${disksHold}`
      )
    }
    return wrong
  }

  /** Whether the write is among these, or what has seen it, and nothing is that it has overwritten. */
  #hasMet(held: readonly WriteId[], write: WriteRecord): boolean {
    if (held.some((id) => write.seen.has(id))) return false
    return (
      write.kind === 'delete' || this.#closureOf(held).has(write.id) || this.#mayBeGone(write, held)
    )
  }

  #closureOf(held: readonly WriteId[]): ReadonlySet<WriteId> {
    const known = this.#closures.get(held)
    if (known !== undefined) return known
    const closure = this.closure(held)
    this.#closures.set(held, closure)
    return closure
  }

  #inventions({ shown }: ReadObservation): string[] {
    const wrong = shown
      .filter((id) => this.#writes.get(id)?.kind !== 'put')
      .map((id) => `shows ${id}, which nobody wrote here`)
    if (new Set(shown).size < shown.length) wrong.push(`shows one write twice: ${shown.join(', ')}`)
    return wrong
  }

  #overwrittenBeside({ shown }: ReadObservation): string[] {
    return shown.flatMap((id) =>
      shown
        .filter((other) => this.#writes.get(other)?.seen.has(id) === true)
        .map((other) => `shows ${id} beside ${other}, whose writer had seen it`)
    )
  }

  /** Acknowledged writes that the read must have met, and that neither are shown nor can have been overwritten. */
  #missing(read: ReadObservation, n: number): string[] {
    const known = this.closure(read.shown)
    return this.#mustHaveMet(read, n)
      .filter(
        (write) =>
          write.kind === 'put' && !known.has(write.id) && !this.#mayBeGone(write, read.shown)
      )
      .map(
        (write) =>
          `does not show ${write.id}, which ${mostReplicas(write)} replicas held before, nor anything that has seen it`
      )
  }

  /** Writes that come back although an acknowledged one had overwritten or deleted them. */
  #revived(read: ReadObservation, n: number): string[] {
    const wrong: string[] = []
    for (const write of this.#mustHaveMet(read, n)) {
      for (const id of read.shown) {
        if (write.seen.has(id))
          wrong.push(`shows ${id}, which ${write.kind} ${write.id} had overwritten`)
      }
    }
    return wrong
  }

  // A read that asks r replicas meets every write that more than n - r had confirmed before it began.
  #mustHaveMet(read: ReadObservation, n: number): WriteRecord[] {
    return [...this.#writes.values()].filter(({ confirmations }) =>
      confirmations.some(
        ({ atMs, replicas, copies }) =>
          atMs < read.invokedMs && (read.atEnd === true ? copies : replicas) > n - read.replicas
      )
    )
  }

  /** Tombstones are not shown: a delete that may have taken the write explains its absence. */
  #mayBeGone(write: WriteRecord, shown: readonly WriteId[]): boolean {
    if (this.#mode === 'lww') return this.#mayBeSurpassed(write, shown)
    for (const other of this.#writes.values()) {
      if (other.kind === 'delete' && (other.takesAll || other.seen.has(write.id))) return true
    }
    return false
  }

  /** The latest write wins; which one that is, clocks decide. Something must be there, unless there were deletes. */
  #mayBeSurpassed(write: WriteRecord, shown: readonly WriteId[]): boolean {
    if (shown.some((id) => !write.seen.has(id))) return true
    for (const other of this.#writes.values()) if (other.kind === 'delete') return true
    return false
  }
}

/** Where it was acknowledged, or carried along, by the most. */
function mostReplicas({ confirmations }: WriteRecord): number {
  return confirmations.reduce((most, { replicas }) => Math.max(most, replicas), 0)
}

function list(ids: ReadonlySet<WriteId>): string {
  return ids.size === 0 ? 'nothing' : [...ids].join(' ')
}
