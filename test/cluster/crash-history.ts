/** One write that was attempted on a key. Its name is also its value, and no two writes have the same. */
export interface AttemptedWrite {
  readonly name: string
  readonly isDelete: boolean
  /** The writes that its writer had seen: those that its Causal-Context covers. */
  readonly seen: readonly AttemptedWrite[]
  /** Those that had seen this one. */
  readonly replacedBy: AttemptedWrite[]
  /** On the clock of the history; infinite where nobody can say whether the write took place. */
  acknowledgedAt: number
  /** A read has returned it, so that it did take place. */
  wasRead: boolean
}

/**
 * What is known about the writes to one key, and what reads may say. It judges by causality alone: order in time counts
 * only where one operation ended before another began.
 */
export class KeyHistory {
  readonly key: string
  readonly #writes = new Map<string, AttemptedWrite>()
  /** Acknowledged values that nothing is known to have replaced: every read from then on returns them. */
  readonly #standing = new Set<AttemptedWrite>()
  #now = 0

  constructor(key: string) {
    this.key = key
  }

  /** The moment, to be taken before a read begins. */
  get now(): number {
    return this.#now
  }

  begin(name: string, isDelete: boolean, seen: readonly AttemptedWrite[]): AttemptedWrite {
    const acknowledgedAt = Number.POSITIVE_INFINITY
    const write = { name, isDelete, seen, replacedBy: [], acknowledgedAt, wasRead: false }
    for (const earlier of seen) earlier.replacedBy.push(write)
    this.#writes.set(name, write)
    return write
  }

  acknowledge(write: AttemptedWrite): void {
    write.acknowledgedAt = ++this.#now
    if (!write.isDelete) this.#standing.add(write)
  }

  /** Takes in what a read returned that began at `began`: the writes that it stands for, and what is wrong with it. */
  judgeRead(
    values: readonly string[],
    began: number
  ): { readonly read: readonly AttemptedWrite[]; readonly faults: readonly string[] } {
    const faults: string[] = []
    const read: AttemptedWrite[] = []
    for (const value of values) {
      const write = this.#writes.get(value)
      if (write === undefined || write.isDelete) faults.push(`"${value}" was never written`)
      else read.push(write)
    }
    for (const write of read) {
      write.wasRead = true
      const later = write.replacedBy.find(({ acknowledgedAt }) => acknowledgedAt <= began)
      if (later !== undefined) faults.push(`${write.name} is back, which ${later.name} replaced`)
    }
    for (const write of this.#standing) {
      if (write.acknowledgedAt > began || read.includes(write)) continue
      if (write.replacedBy.some(tookPlace)) this.#standing.delete(write)
      else faults.push(`${write.name} was acknowledged and is gone; there is [${values.join()}]`)
    }
    return { read, faults }
  }
}

/** A value that nobody acknowledged and nobody ever read replaces nothing; a delete leaves nothing to be read. */
function tookPlace({ acknowledgedAt, wasRead, isDelete }: AttemptedWrite): boolean {
  return Number.isFinite(acknowledgedAt) || wasRead || isDelete
}
