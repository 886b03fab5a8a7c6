import type { ConflictMode } from '../../storage/version.ts'
import type { Dot } from '../../storage/version-vector.ts'
import type { Header } from './messages.ts'
import type { ListedRow } from './range-side.ts'
import { buriersOf } from './row-difference.ts'

/** Rows that are remembered at the most: what is forgotten is met again in the partition's next pass. */
const rowsMax = 8192

/**
 * Rows of the answering side of which versions count as absent. It learns only when the other side's rows arrive which
 * of its own they belong to, and whether something hidden has overwritten what the other side still shows.
 */
export class HiddenRows {
  readonly #rows = new Map<string, ListedRow>()

  note(rows: readonly ListedRow[]): void {
    for (const row of rows) {
      this.#rows.delete(row.key.id)
      this.#rows.set(row.key.id, row)
    }
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size <= rowsMax) return
      this.#rows.delete(oldest)
    }
  }

  has(keyId: string): boolean {
    return this.#rows.has(keyId)
  }

  /** What has overwritten some of the versions that arrived. */
  buriers(keyId: string, arrived: readonly Header[], mode: ConflictMode): readonly Dot[] {
    const versions = this.#rows.get(keyId)?.versions ?? []
    return buriersOf(versions, arrived, mode === 'lww')
  }
}
