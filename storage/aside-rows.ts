import type { Log } from '../core/ports.ts'
import { DamageList } from './damage.ts'
import type { Database, DatabaseOperation } from './database.ts'
import type { RowRange } from './keys.ts'
import { decodeSealed, encodeSealed } from './row-codec.ts'
import type { StagedRow } from './row-reader.ts'
import type { FoundRow, StagedRows } from './staged-rows.ts'

/**
 * A change of a row that is no object: hints, indexes, marks, proofs. Its owner chooses the key (first byte: the kind,
 * see `keys.ts`) and the content, which is sealed with a checksum over both.
 */
export type AsideChange =
  | { readonly type: 'put'; readonly key: Buffer; readonly content: Uint8Array }
  | { readonly type: 'del'; readonly key: Buffer }

export interface AsideRow {
  readonly key: Buffer
  /** Null where the row is damaged: something was there, and nobody knows any more what. */
  readonly content: Buffer | null
}

export interface AsideRowsOptions {
  readonly database: Database
  readonly staged: StagedRows<StagedRow>
  readonly log: Log
  /** Called once for each damaged row. */
  readonly onDamage: (key: Buffer, reason: string) => void
}

/** Reads the rows that are no objects; staged ones shadow the database here as well. */
export class AsideRows {
  readonly #options: AsideRowsOptions
  readonly #damage = new DamageList()

  constructor(options: AsideRowsOptions) {
    this.#options = options
  }

  read(key: Buffer): Buffer | null {
    const staged = this.#options.staged.get(key.toString('latin1'))
    if (staged !== undefined) return staged.content
    return this.#unseal(key, () => this.#options.database.getSync(key))
  }

  /** Errors: what the database throws; without what cannot be read, and told so, for who gives `onUnreadable`. */
  walk<T>(
    range: RowRange,
    limit: number,
    visit: (rows: readonly AsideRow[], next: Buffer | null) => T,
    onUnreadable?: (thrown: unknown) => void
  ): Promise<T> {
    const unseal = (found: readonly FoundRow[], next: Buffer | null): T => {
      const rows: AsideRow[] = []
      for (const { key, bytes } of found) {
        if (bytes !== null) rows.push({ key, content: this.#unseal(key, () => bytes) })
        else {
          const content = this.read(key)
          if (content !== null) rows.push({ key, content })
        }
      }
      return visit(rows, next)
    }
    return this.#options.staged.slice(range, limit, unseal, onUnreadable)
  }

  /** The operations of `changes`, and what shadows the database until they are written. */
  stage(changes: readonly AsideChange[], durable: Promise<void>): void {
    for (const change of changes) {
      const id = change.key.toString('latin1')
      const content = change.type === 'put' ? Buffer.from(change.content) : null
      this.#options.staged.add(durable, id, { rowKey: change.key, row: null, content })
      this.#damage.healed(id)
    }
  }

  #unseal(key: Buffer, read: () => Buffer | undefined): Buffer | null {
    try {
      const bytes = read()
      return bytes === undefined ? null : decodeSealed(key, bytes)
    } catch (error) {
      if (this.#damage.addRow(key.toString('latin1'))) {
        const fields = { kind: String.fromCharCode(key[0] ?? 0), row: key.toString('hex'), error }
        this.#options.log.error(fields, 'a row of the node itself is damaged; it counts as none')
        this.#options.onDamage(key, error instanceof Error ? error.message : String(error))
      }
      return null
    }
  }
}

export function asideOperations(changes: readonly AsideChange[]): DatabaseOperation[] {
  return changes.map((change) =>
    change.type === 'del'
      ? { type: 'del', key: change.key }
      : { type: 'put', key: change.key, value: encodeSealed(change.key, change.content) }
  )
}
