import { AnnealError, DecodeError } from '../core/errors.ts'
import { DamagedRowError, type DamageList } from './damage.ts'
import type { Database } from './database.ts'
import { type ObjectKey, parseObjectKey, type RowRange, valueRowKey } from './keys.ts'
import { decodeObjectHash, decodeRow, decodeSealed, type Row } from './row-codec.ts'
import { makeRow, type StoredRow } from './row-operations.ts'
import type { FoundRow, StagedRows } from './staged-rows.ts'
import type { Version } from './version.ts'
import { compareDots } from './version-vector.ts'

/** A staged row: of an object, or one of the rows of other kinds. */
export interface StagedRow {
  readonly rowKey: Buffer
  readonly row: Row | null
  /** Of a row of another kind, unsealed; null: deleted. */
  readonly content: Buffer | null
}

/** One row of a walk; a damaged one has a null row. */
export interface WalkedRow {
  readonly key: ObjectKey
  readonly row: Row | null
}

/** One row of a walk that wants no versions. */
export interface HashedRow {
  readonly rowKey: Buffer
  readonly objectHash: Uint8Array
}

export interface RowReaderOptions {
  readonly database: Database
  readonly staged: StagedRows<StagedRow>
  readonly damage: DamageList
  /** Throws where the store has failed or is closing: errors of a closed database are no damage. */
  readonly checkOpen: () => void
  /** Called once for a damaged row, and once for each damaged value. */
  readonly onDamage: (key: ObjectKey, reason: string) => void
  /** A row that was damaged when it was read before is not now: the error has passed. */
  readonly onReadable: (key: ObjectKey) => void
  /** Rows of the range are in files that cannot be read, and which ones they are nobody knows. */
  readonly onUnreadable: (range: RowRange, reason: string) => void
}

/** Reads rows: what is staged, or else what the database holds and its checksum confirms. */
export class RowReader {
  readonly #options: RowReaderOptions

  constructor(options: RowReaderOptions) {
    this.#options = options
  }

  /** Errors: DamagedRowError, also where only a value that is kept apart is damaged. */
  read(key: ObjectKey): Row | null {
    const damage = this.#options.damage.get(key.id)
    if (damage !== undefined && damage !== 'row') {
      throw new DamagedRowError('a value that is kept apart is damaged')
    }
    return this.readStagedOrRow(key)
  }

  /** As `read`, whatever is known of the values that are kept apart. */
  readStagedOrRow(key: ObjectKey): Row | null {
    const staged = this.#options.staged.get(key.id)
    return staged === undefined ? this.#readRow(key) : staged.row
  }

  /** What is stored, and what of it a mutation may start from: no damaged row, and no version without its value. */
  readForChange(key: ObjectKey): { readonly stored: StoredRow; readonly current: Row | null } {
    try {
      const stored = this.readStagedOrRow(key)
      return { stored, current: stored && this.#withoutDamagedValues(key, stored) }
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return { stored: 'damaged', current: null }
      throw thrown
    }
  }

  /** A value that is kept apart. Errors: DamagedRowError where it is missing or damaged. */
  readValue(key: ObjectKey, version: Version): Buffer {
    this.#options.checkOpen()
    const rowKey = valueRowKey(key, version.dot)
    try {
      const bytes = this.#options.database.getSync(rowKey)
      if (bytes === undefined) throw new DecodeError('a value that is kept apart is missing')
      const value = decodeSealed(rowKey, bytes)
      if (value.length !== version.size) throw new DecodeError('a value of another length')
      return value
    } catch (thrown) {
      if (!this.#holds(key, version)) {
        throw new AnnealError('internal', 'a value was wanted whose version is there no more')
      }
      throw this.#damaged(key, thrown, this.#options.damage.addValue(key.id, version.dot))
    }
  }

  /** Calls `visit`, which must not wait, with a slice of rows as they are at that moment. Only wanted ones are decoded. */
  walk<T>(
    range: RowRange,
    limit: number,
    visit: (rows: readonly WalkedRow[], next: Buffer | null) => T,
    isWanted: (rowKey: Buffer) => boolean = () => true
  ): Promise<T> {
    return this.#slice(range, limit, (found, next) => {
      const rows: WalkedRow[] = []
      for (const { key: rowKey, bytes } of found) {
        if (!isWanted(rowKey)) continue
        const key = parseObjectKey(rowKey)
        const row = this.#walked(key, bytes)
        if (row !== undefined) rows.push({ key, row })
      }
      return visit(rows, next)
    })
  }

  /** As `walk` without the damaged rows, several times as fast: checksums are verified, versions are not decoded. */
  walkHashes<T>(
    range: RowRange,
    limit: number,
    visit: (rows: readonly HashedRow[], next: Buffer | null) => T
  ): Promise<T> {
    return this.#slice(range, limit, (found, next) => {
      const rows: HashedRow[] = []
      for (const { key: rowKey, bytes } of found) {
        const objectHash = this.#walkedHash(rowKey, bytes)
        if (objectHash !== undefined) rows.push({ rowKey, objectHash })
      }
      return visit(rows, next)
    })
  }

  #slice<T>(
    range: RowRange,
    limit: number,
    visit: (found: readonly FoundRow[], next: Buffer | null) => T
  ): Promise<T> {
    const { staged, checkOpen, onUnreadable } = this.#options
    checkOpen()
    return staged.slice(
      range,
      limit,
      (found, next) => {
        checkOpen()
        return visit(found, next)
      },
      (thrown) => onUnreadable(range, reasonOf(thrown))
    )
  }

  /** Undefined where there is no row any more, null where it is damaged. */
  #walked(key: ObjectKey, bytes: Buffer | null): Row | null | undefined {
    try {
      const isKnown = bytes === null || this.#options.damage.has(key.id)
      const row = isKnown ? this.read(key) : this.#decode(key, bytes)
      return row ?? undefined
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return null
      throw thrown
    }
  }

  #walkedHash(rowKey: Buffer, bytes: Buffer | null): Uint8Array | undefined {
    const { damage } = this.#options
    if (bytes !== null && (damage.isEmpty || !damage.has(rowKey.toString('latin1')))) {
      try {
        return decodeObjectHash(rowKey, bytes)
      } catch {
        // Reported, once, by the reading below.
      }
    }
    return this.#walked(parseObjectKey(rowKey), bytes)?.objectHash
  }

  #withoutDamagedValues(key: ObjectKey, row: Row): Row | null {
    const damage = this.#options.damage.get(key.id)
    if (damage === undefined || damage === 'row') return row
    const isDamaged = ({ dot }: Version) => damage.some((other) => compareDots(dot, other) === 0)
    return makeRow({ versions: row.versions.filter((v) => !isDamaged(v)), mintActor: null })
  }

  #readRow(key: ObjectKey): Row | null {
    const { damage, onReadable } = this.#options
    const row = this.#readFromDatabase(key)
    if (damage.get(key.id) === 'row') {
      damage.healed(key.id)
      onReadable(key)
    }
    return row
  }

  #readFromDatabase(key: ObjectKey): Row | null {
    try {
      const bytes = this.#options.database.getSync(key.row)
      return bytes === undefined ? null : decodeRow(key.row, bytes)
    } catch (thrown) {
      throw this.#damaged(key, thrown, this.#options.damage.addRow(key.id))
    }
  }

  #decode(key: ObjectKey, bytes: Buffer): Row {
    try {
      return decodeRow(key.row, bytes)
    } catch (thrown) {
      throw this.#damaged(key, thrown, this.#options.damage.addRow(key.id))
    }
  }

  #holds(key: ObjectKey, { dot }: Version): boolean {
    const row = this.readStagedOrRow(key)
    return row?.versions.some((version) => compareDots(version.dot, dot) === 0) === true
  }

  #damaged(key: ObjectKey, thrown: unknown, isNews: boolean): DamagedRowError {
    const reason = reasonOf(thrown)
    if (isNews) this.#options.onDamage(key, reason)
    return new DamagedRowError(reason)
  }
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The values of `versions` are kept apart and were not read. */
export function lacksValue(version: Version): boolean {
  return version.value === null && !version.tombstone
}
