import { compareBytes } from '../core/bytes.ts'
import { isDamage } from './damage.ts'
import type { Database } from './database.ts'
import { isMalformed, type RowRange, rowAfter } from './keys.ts'

/** A row that a slice came by. */
export interface FoundRow {
  readonly key: Buffer
  /** All that the database holds; null where a change waits or was written meanwhile, so that it must be read now. */
  readonly bytes: Buffer | null
}

/** What one batch will have written, by the ids of the rows: `key.toString('latin1')`. */
interface StagedBatch<T> {
  readonly durable: Promise<void>
  readonly rows: Map<string, T>
}

/** What is staged and not yet written. It shadows the database, in single reads and in slices. */
export class StagedRows<T extends { readonly rowKey: Buffer }> {
  readonly #database: Database
  readonly #onMalformed: (keys: readonly Buffer[], range: RowRange) => void
  /**
   * The batches that are not written yet, the oldest first; two at the most. Each has a map of its own that goes with
   * it: one map for all, forever filled and emptied, would be copied to a new table again and again, and by way of
   * these tables V8 would hold on to rows long after they were written.
   */
  readonly #batches: StagedBatch<T>[] = []
  /** For each slice that is being read, the rows whose bytes in it may be outdated. */
  readonly #slices = new Set<Map<string, Buffer>>()

  /** `onMalformed` is told of keys that a slice came by and left out, since nobody can read them. */
  constructor(database: Database, onMalformed: (keys: readonly Buffer[], range: RowRange) => void) {
    this.#database = database
    this.#onMalformed = onMalformed
  }

  get(id: string): T | undefined {
    return this.#batchOf(id)?.rows.get(id)
  }

  /** Resolves when the newest change of the row is written; undefined where none waits. */
  durable(id: string): Promise<void> | undefined {
    return this.#batchOf(id)?.durable
  }

  /** `durable` is the promise of the batch that is gathering. */
  add(durable: Promise<void>, id: string, staged: T): void {
    this.begin(durable).set(id, staged)
    for (const changed of this.#slices) changed.set(id, staged.rowKey)
  }

  /** Every batch is made known, also one without a row that shadows, so that `oldestWritten` lets go of the right one. */
  begin(durable: Promise<void>): Map<string, T> {
    const newest = this.#batches.at(-1)
    if (newest?.durable === durable) return newest.rows
    const rows = new Map<string, T>()
    this.#batches.push({ durable, rows })
    return rows
  }

  oldestWritten(): void {
    this.#batches.shift()
  }

  /**
   * Calls `visit` with the first rows of a range, at most `limit`, in order, and with where the next slice begins, null
   * at the end. All rows before that place are among them, as of the moment of the call, so `visit` reads and does not
   * wait. Rows that are staged to be deleted are among them too.
   *
   * Where files cannot be read, whoever gives `onUnreadable` is told, and shown the rows that can be. Errors: otherwise
   * what the database throws.
   */
  async slice<R>(
    range: RowRange,
    limit: number,
    visit: (found: readonly FoundRow[], next: Buffer | null) => R,
    onUnreadable?: (thrown: unknown) => void
  ): Promise<R> {
    const changed = this.#stagedIn(range)
    this.#slices.add(changed)
    try {
      const rows = await this.#read(range, limit, onUnreadable)
      const found = changed.size === 0 ? rows.map(asFound) : withChanged(range, rows, changed)
      // A full slice leaves out what lies beyond its last row, the changed rows there included.
      const passed = found.length > limit ? found.slice(0, limit) : found
      const last = passed.at(-1)
      const isEnd = passed.length < limit || last === undefined
      const next = isEnd ? null : rowAfter(last.key)
      return visit(this.#withoutMalformed(passed, range), next)
    } finally {
      this.#slices.delete(changed)
    }
  }

  async #read(
    { from, to }: RowRange,
    limit: number,
    onUnreadable: ((thrown: unknown) => void) | undefined
  ): Promise<[Buffer, Buffer][]> {
    try {
      return await this.#database.slice(from, to, limit)
    } catch (thrown) {
      const rows = isDamage(thrown)
        ? await this.#database.sliceReadable?.(from, to, limit)
        : undefined
      if (rows === undefined || onUnreadable === undefined) throw thrown
      onUnreadable(thrown)
      return rows
    }
  }

  #withoutMalformed(found: readonly FoundRow[], range: RowRange): readonly FoundRow[] {
    const malformed = found.filter(({ key }) => isMalformed(key))
    if (malformed.length === 0) return found
    // Those whose deletion is staged already have no bytes.
    const news = malformed.flatMap(({ key, bytes }) => (bytes === null ? [] : [key]))
    if (news.length > 0) this.#onMalformed(news, range)
    return found.filter(({ key }) => !isMalformed(key))
  }

  /** The newest batch that writes the row. */
  #batchOf(id: string): StagedBatch<T> | undefined {
    for (let i = this.#batches.length - 1; i >= 0; i--) {
      const batch = this.#batches[i]
      if (batch?.rows.has(id)) return batch
    }
    return undefined
  }

  #stagedIn(range: RowRange): Map<string, Buffer> {
    const ids = new Map<string, Buffer>()
    for (const { rows } of this.#batches) {
      for (const [id, { rowKey }] of rows) if (isIn(range, rowKey)) ids.set(id, rowKey)
    }
    return ids
  }
}

function withChanged(
  range: RowRange,
  rows: readonly (readonly [Buffer, Buffer])[],
  changed: ReadonlyMap<string, Buffer>
): FoundRow[] {
  const found = rows.filter(([key]) => !changed.has(key.toString('latin1'))).map(asFound)
  for (const key of changed.values()) if (isIn(range, key)) found.push({ key, bytes: null })
  return found.sort((a, b) => compareBytes(a.key, b.key))
}

function asFound([key, bytes]: readonly [Buffer, Buffer]): FoundRow {
  return { key, bytes }
}

function isIn({ from, to }: RowRange, key: Buffer): boolean {
  return compareBytes(key, from) >= 0 && compareBytes(key, to) < 0
}
