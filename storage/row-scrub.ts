import type { Clock, Timers } from '../core/ports.ts'
import type { AsideChange } from './aside-rows.ts'
import { DamagedRowError } from './damage.ts'
import { type ObjectKey, tombstoneRowKey } from './keys.ts'
import type { RowInspection } from './leaf-recounting.ts'
import { isIndexed } from './row-operations.ts'
import { lacksValue, type WalkedRow } from './row-reader.ts'
import type { Store } from './store.ts'
import { compareDots, type Dot } from './version-vector.ts'

/** Reading of one turn of the event loop, after which everybody else has one. */
const turnMsMax = 2

/**
 * Looks at what a count of the rows does not: reads the values that are kept apart, whose checksums are verified by the
 * reading, and puts back what is missing in the tombstone index.
 */
export class RowScrub implements RowInspection {
  readonly #store: Store
  readonly #clock: Clock
  readonly #timers: Timers
  #values: { readonly key: ObjectKey; readonly dot: Dot }[] = []

  constructor(store: Store, { clock, timers }: { readonly clock: Clock; readonly timers: Timers }) {
    this.#store = store
    this.#clock = clock
    this.#timers = timers
  }

  visit(rows: readonly WalkedRow[]): void {
    const missing: AsideChange[] = []
    for (const { key, row } of rows) {
      if (row === null) continue
      for (const version of row.versions) {
        if (lacksValue(version)) this.#values.push({ key, dot: version.dot })
      }
      if (!isIndexed(row)) continue
      const indexKey = tombstoneRowKey(key)
      if (this.#store.aside(indexKey) !== null) continue
      missing.push({ type: 'put', key: indexKey, content: Buffer.alloc(0) })
    }
    if (missing.length > 0) void this.#store.changeAside(missing)
  }

  /** Values can be large, or slow to come, so that other work is let in whenever reading has lasted for a turn. */
  async afterSlice(): Promise<void> {
    const values = this.#values
    this.#values = []
    let beganMs = this.#clock.monotonic()
    for (const { key, dot } of values) {
      this.#readValue(key, dot)
      if (this.#clock.monotonic() < beganMs + turnMsMax) continue
      await new Promise<void>((resolve) => this.#timers.set(resolve, 0))
      beganMs = this.#clock.monotonic()
    }
  }

  #readValue(key: ObjectKey, dot: Dot): void {
    try {
      const versions = this.#store.read(key)?.versions ?? []
      // It may have been overwritten since the slice.
      this.#store.withValues(
        key,
        versions.filter((version) => compareDots(version.dot, dot) === 0)
      )
    } catch (thrown) {
      // The store has told its owner, and does not trust the leaf any more.
      if (!(thrown instanceof DamagedRowError)) throw thrown
    }
  }
}
