import type { ReportedRow } from './leaf-comparison.ts'

/** Rows that are remembered at the most: those of the leaves compared last, which are about to be asked for. */
const rowsMax = 8192

/** Which rows the peer was told of, by leaf: what saves listing the leaf again for each row that it asks for. */
export class ReportedRows {
  /** In the order in which they were told. */
  readonly #leaves = new Map<string, readonly ReportedRow[]>()
  #count = 0

  note(partition: number, leaf: number, rows: readonly ReportedRow[]): void {
    const name = `${partition}/${leaf}`
    this.#forget(name)
    if (rows.length === 0) return
    this.#leaves.set(name, rows)
    this.#count += rows.length
    for (const oldest of this.#leaves.keys()) {
      if (this.#count <= rowsMax) return
      this.#forget(oldest)
    }
  }

  /** Null where nothing is remembered (any more). */
  of(partition: number, leaf: number): readonly ReportedRow[] | null {
    return this.#leaves.get(`${partition}/${leaf}`) ?? null
  }

  #forget(name: string): void {
    this.#count -= this.#leaves.get(name)?.length ?? 0
    this.#leaves.delete(name)
  }
}
