/** The number of a write in a life; its value says it. */
export type WriteId = number

export type Outcome = 'unknown' | 'acknowledged'

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
  completedMs: number
  outcome: Outcome
  /** Replicas that confirmed it. */
  confirmed: number
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
}

/** What must hold of a read, beyond that it shows only what was written. */
export interface Expectation {
  /** Replicas of a key; with it, which acknowledged writes the read must have met. */
  readonly n: number
  /** No node has forgotten anything that it had confirmed. */
  readonly nothingForgotten: boolean
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
    this.note(record.invokedMs, `${record.node}: ${what} ${record.id}, having seen ${list(record.seen)}`)
  }

  acknowledge(record: WriteRecord, atMs: number, confirmed: number): void {
    record.outcome = 'acknowledged'
    record.completedMs = atMs
    record.confirmed = confirmed
    this.note(atMs, `${record.node}: ${record.id} acknowledged by ${confirmed}`)
  }

  fail(record: WriteRecord, atMs: number, code: string): void {
    record.completedMs = atMs
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

  /** What is wrong with a read; empty where nothing is. */
  judge(read: ReadObservation, expected: Expectation): string[] {
    const wrong = [...this.#inventions(read), ...this.#overwrittenBeside(read)]
    if (expected.nothingForgotten) wrong.push(...this.#missing(read, expected.n), ...this.#revived(read, expected.n))
    return wrong
  }

  /**
   * After the faults, on all replicas: every acknowledged write is there, or overwritten by what had seen it, as long
   * as more replicas had confirmed it than have forgotten something since.
   */
  judgeEnd(shown: readonly WriteId[], copiesLost: number): string[] {
    const invokedMs = Number.POSITIVE_INFINITY
    const read = { node: 'all', invokedMs, shown, replicas: Number.MAX_SAFE_INTEGER }
    const n = Number.MAX_SAFE_INTEGER + copiesLost
    return [
      ...this.#inventions(read),
      ...this.#overwrittenBeside(read),
      ...this.#missing(read, n),
      ...this.#revived(read, n)
    ]
  }

  #inventions({ shown }: ReadObservation): string[] {
    const wrong = shown.filter((id) => this.#writes.get(id)?.kind !== 'put').map((id) => `shows ${id}, which nobody wrote here`)
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
      .filter((write) => write.kind === 'put' && !known.has(write.id) && !this.#mayBeGone(write, read))
      .map((write) => `does not show ${write.id}, which was acknowledged by ${write.confirmed} before, nor anything that has seen it`)
  }

  /** Writes that come back although an acknowledged one had overwritten or deleted them. */
  #revived(read: ReadObservation, n: number): string[] {
    const wrong: string[] = []
    for (const write of this.#mustHaveMet(read, n)) {
      for (const id of read.shown) {
        if (write.seen.has(id)) wrong.push(`shows ${id}, which ${write.kind} ${write.id} had overwritten`)
      }
    }
    return wrong
  }

  // A read that asks r replicas meets every write that more than n - r had confirmed before it began.
  #mustHaveMet(read: ReadObservation, n: number): WriteRecord[] {
    return [...this.#writes.values()].filter(
      (write) =>
        write.outcome === 'acknowledged' &&
        write.completedMs < read.invokedMs &&
        write.confirmed > n - read.replicas
    )
  }

  /** Tombstones are not shown: a delete that may have taken the write explains its absence. */
  #mayBeGone(write: WriteRecord, read: ReadObservation): boolean {
    if (this.#mode === 'lww') return this.#mayBeSurpassed(write, read)
    for (const other of this.#writes.values()) {
      if (other.kind === 'delete' && (other.takesAll || other.seen.has(write.id))) return true
    }
    return false
  }

  /** The latest write wins; which one that is, clocks decide. Something must be there, unless there were deletes. */
  #mayBeSurpassed(write: WriteRecord, read: ReadObservation): boolean {
    if (read.shown.some((id) => !write.seen.has(id))) return true
    for (const other of this.#writes.values()) if (other.kind === 'delete') return true
    return false
  }
}

function list(ids: ReadonlySet<WriteId>): string {
  return ids.size === 0 ? 'nothing' : [...ids].join(' ')
}
