import type { Clock } from '../core/ports.ts'
import { parseTombstoneRowKey, rowAfter, tombstoneRange } from '../storage/keys.ts'
import type { NewRow, Store } from '../storage/store.ts'
import type { Version } from '../storage/version.ts'
import type { Watermarks } from './watermarks.ts'

export interface CollectionOptions {
  readonly store: Store
  readonly watermarks: Pick<Watermarks, 'collectable'>
  readonly clock: Clock
  readonly partitions: number
  /** For the operator's comfort, not for safety: no tombstone goes before this age. */
  readonly graceMs: number
  /** Partitions that this node holds. */
  readonly isReplica: (partition: number) => boolean
}

/** Tombstones and versions that expire, as the last sweep of each partition found them. */
export interface TombstoneCounts {
  readonly held: number
  /** Since the node started. */
  readonly collected: number
  /** Proven everywhere, but younger than the grace period. */
  readonly waitingForGrace: number
  /** Not known yet to have reached all replicas, together with all that they bury. */
  readonly notProven: number
}

/** `live`: an expiry that has not come yet. */
type Verdict = 'collect' | 'grace' | 'notProven' | 'live'

interface PartitionCounts {
  held: number
  grace: number
  notProven: number
}

const nothingFound = (): PartitionCounts => ({ held: 0, grace: 0, notProven: 0 })

/**
 * Removes tombstones where they stand once they and everything that they bury are known to have reached all replicas:
 * then nothing is left anywhere that they would have to hold down. Sweeps the index of tombstones, a few rows at a time.
 */
export class Collection {
  readonly #options: CollectionOptions
  readonly #found = new Map<number, PartitionCounts>()
  #partition = 0
  #from: Buffer | null = null
  #current = nothingFound()
  #collected = 0

  constructor(options: CollectionOptions) {
    this.#options = options
  }

  get counts(): TombstoneCounts {
    let held = 0
    let waitingForGrace = 0
    let notProven = 0
    for (const found of this.#found.values()) {
      held += found.held
      waitingForGrace += found.grace
      notProven += found.notProven
    }
    return { held, collected: this.#collected, waitingForGrace, notProven }
  }

  /**
   * Looks at up to `rowsMax` rows, going on where the last call ended and round and round. True where that has come to
   * the end of the last partition. The caller decides how often, and does not call again before this has resolved.
   *
   * Errors: rejects with what the store has failed with, `overloaded` where too much waits to be written.
   */
  async collectSome(rowsMax: number): Promise<boolean> {
    const { partitions, isReplica } = this.#options
    let left = rowsMax
    while (left > 0) {
      if (this.#partition >= partitions) {
        this.#partition = 0
        return true
      }
      if (isReplica(this.#partition)) left -= await this.#collectSlice(left)
      else this.#found.delete(this.#partition)
      if (this.#from === null) this.#partition++
    }
    return false
  }

  /** A whole round over everything. */
  async collectAll(): Promise<void> {
    this.#partition = 0
    this.#from = null
    while (!(await this.collectSome(rowsAtOnce))) {}
  }

  async #collectSlice(limit: number): Promise<number> {
    const { store, partitions } = this.#options
    const range = tombstoneRange(this.#partition, partitions)
    const from = this.#from ?? range.from
    const slice = { from, to: range.to }
    // A scrub puts back what is missing in the index.
    const { rows, next } = await store.walkReadableAside(slice, Math.min(limit, rowsAtOnce))
    for (const { key } of rows) {
      this.#collectRow(key)
      // Where the next one cannot be changed for now, those that were counted are not met again.
      this.#from = rowAfter(key)
    }
    this.#from = next
    if (next === null) {
      this.#found.set(this.#partition, this.#current)
      this.#current = nothingFound()
    }
    return Math.max(1, rows.length)
  }

  #collectRow(indexKey: Buffer): void {
    const { store, clock } = this.#options
    const nowMs = clock.now()
    const partition = this.#partition
    const { result } = store.mutate(
      parseTombstoneRowKey(indexKey),
      (row): { next: NewRow | null; result: readonly Verdict[] } => {
        if (row === null) return { next: null, result: [] }
        const verdicts = row.versions.map((version) => this.#judge(partition, version, nowMs))
        if (!verdicts.includes('collect')) return { next: null, result: verdicts }
        const versions = row.versions.filter((_, i) => verdicts[i] !== 'collect')
        return { next: { versions, mintActor: row.mintActor }, result: verdicts }
      }
    )
    for (const verdict of result) this.#count(verdict)
  }

  #judge(partition: number, version: Version, nowMs: number): Verdict {
    const { watermarks, graceMs } = this.#options
    const { tombstone, timeMs, expiresAtMs } = version
    if (!tombstone && (expiresAtMs === 0 || expiresAtMs > nowMs)) return 'live'
    if (!watermarks.collectable(partition, version, nowMs)) return 'notProven'
    return nowMs - (tombstone ? timeMs : expiresAtMs) < graceMs ? 'grace' : 'collect'
  }

  #count(verdict: Verdict): void {
    if (verdict === 'collect') this.#collected++
    else if (verdict !== 'live') {
      this.#current.held++
      this.#current[verdict]++
    }
  }
}

const rowsAtOnce = 64
