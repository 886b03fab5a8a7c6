import { compareBytes, equalBytes } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { sliceRowsMax } from '../core/limits.ts'
import type { Clock, Log } from '../core/ports.ts'
import type { AsideChange, AsideRow } from './aside-rows.ts'
import { type HintBacklog, HintIndex, type IndexedHint } from './hint-index.ts'
import {
  afterTarget,
  allHints,
  decodeHint,
  encodeHint,
  type HintContent,
  type HintKey,
  hintRowKey,
  hintsOf,
  isHintRowKey,
  parseHintRowKey,
  toStoredMs
} from './hint-row.ts'
import type { ObjectKey } from './keys.ts'
import type { AsideSlice, Store } from './store.ts'
import { type ConflictMode, hashObject, merge, type Versions } from './version.ts'
import type { Incarnation } from './version-vector.ts'

export interface HintStoreOptions {
  /** Where the rows are. */
  readonly store: Pick<Store, 'aside' | 'changeAside' | 'walkAside' | 'checkRoom'>
  readonly clock: Clock
  readonly log: Log
  /** Bytes of rows, keys included, that may wait for one target. */
  readonly bytesPerTargetMax: number
  readonly modeOf: (key: ObjectKey) => ConflictMode
  readonly partitionOf: (key: ObjectKey) => number
  /** A hint is not kept, or not any more: the target needs an exchange of the partition soon. */
  readonly onRangeMissed: (partition: number, target: string) => void
  /** From now on `callback` is told of every damaged row that is no object, each once. */
  readonly followDamage: (callback: (row: Buffer, reason: string) => void) => void
}

/** A hint as it is held at the moment. */
export interface Hint extends HintKey, HintContent {
  /** `hashObject(versions)`: what the target must have acknowledged before the hint goes. */
  readonly objectHash: Uint8Array
  readonly bytes: number
}

export type HintPut =
  | { readonly kind: 'stored'; readonly durable: Promise<void> }
  | { readonly kind: 'overflow' }

/** Counted since the node started. */
export interface HintStoreCounters {
  stored: number
  overflowed: number
  damaged: number
}

/**
 * Writes that other nodes missed, by target and key: later writes of a key are merged into what waits for the target
 * already. A hint is whatever a replica would hold, so it only leaves when the very object that it holds is held
 * elsewhere; each change reads, compares and stages without an `await` in between.
 *
 * The sums over all hints are gathered by one walk in slices after the store was opened; `ready` tells when they are
 * exact. Everything else works meanwhile.
 */
export class HintStore {
  readonly #options: HintStoreOptions
  readonly #index = new HintIndex()
  /** Every target that may have hints: exact once the index is. */
  readonly #targets = new Set<string>()
  readonly counters: HintStoreCounters = { stored: 0, overflowed: 0, damaged: 0 }
  /** Rows before this one are in the index; null once all are. */
  #cursor: Buffer | null = null
  /** Rows at or after the cursor that changed while the walk was reading. */
  readonly #touched = new Map<string, Buffer>()
  #walks = 0
  #ready: Promise<void> = Promise.resolve()

  private constructor(options: HintStoreOptions) {
    this.#options = options
  }

  /** Finds out for whom there are hints, which takes one look a target, and begins to count them. */
  static async open(options: HintStoreOptions): Promise<HintStore> {
    const hints = new HintStore(options)
    // Before the first look, since nobody is told of damage twice.
    options.followDamage((row, reason) => hints.#noteDamage(row, reason))
    for (let from: Buffer | null = allHints.from; from !== null; ) {
      const slice: AsideSlice = await options.store.walkAside({ from, to: allHints.to }, 1)
      from = slice.next
      const [first] = slice.rows
      if (first === undefined) continue
      const { target } = parseHintRowKey(first.key)
      hints.#targets.add(target)
      from = afterTarget(target)
    }
    if (hints.#targets.size > 0) hints.#count()
    return hints
  }

  /** Resolves once the sums are exact; rejects where the store has failed. */
  get ready(): Promise<void> {
    return this.#ready
  }

  get isReady(): boolean {
    return this.#cursor === null
  }

  /** Merges into what waits for the target. Errors: as `Store.changeAside` and `Store.checkRoom`. */
  put(target: string, key: ObjectKey, versions: Versions): HintPut {
    const { store } = this.#options
    store.checkRoom()
    const change = this.change(target, key, versions)
    if (change === null) return { kind: 'overflow' }
    return { kind: 'stored', durable: store.changeAside([change]) }
  }

  /**
   * As `put`, for a batch of the caller's, who stages the change in the same turn. Null where there is no room for it;
   * then whoever was to keep it elsewhere, or to have the partition repaired, does so.
   */
  change(target: string, key: ObjectKey, versions: Versions): AsideChange | null {
    const { clock, bytesPerTargetMax, modeOf, partitionOf } = this.#options
    const held = this.get(target, key)
    const merged = merge(held?.versions ?? [], versions, modeOf(key))
    const storedMs = held?.storedMs ?? toStoredMs(clock.now())
    const row = hintRowKey(target, key)
    const content = encodeHint({ storedMs, versions: merged })
    const bytes = row.length + content.length
    if (this.#index.bytesOf(target) - (held?.bytes ?? 0) + bytes > bytesPerTargetMax) {
      this.counters.overflowed++
      return null
    }
    this.counters.stored++
    this.#targets.add(target)
    const partition = partitionOf(key)
    this.#changed(row, held, { target, partition, bytes, storedMs, versions: merged })
    return { type: 'put', key: row, content }
  }

  /** Null where nothing waits, and where what waited cannot be read any more. */
  get(target: string, key: ObjectKey): Hint | null {
    const row = hintRowKey(target, key)
    const content = this.#options.store.aside(row)
    return content === null ? null : this.#decode({ target, key }, row, content)
  }

  /** The merge of all that waits here under the key, whomever it is for: what this node answers as a stand-in. */
  heldFor(key: ObjectKey): Versions {
    let merged: Versions = []
    for (const target of this.targets) {
      const hint = this.get(target, key)
      if (hint !== null) merged = merge(merged, hint.versions, this.#options.modeOf(key))
    }
    return merged
  }

  /** For whom something may wait. */
  get targets(): readonly string[] {
    return [...this.#targets]
  }

  /** Exact once `isReady`; before, what was counted so far. A clock that went back makes no hint younger than new. */
  backlog(): HintBacklog[] {
    const nowMs = this.#options.clock.now()
    return this.#index.backlog(nowMs)
  }

  /** How long the oldest hint for the target has waited; null where there is none that is known of. */
  oldestMs(target: string): number | null {
    return this.#index.oldestMs(target, this.#options.clock.now())
  }

  /** One slice of what waits for a target, in the order of tokens. `next` is where the following slice begins. */
  async walk(
    target: string,
    from: Buffer | null,
    limit: number
  ): Promise<{ readonly hints: readonly Hint[]; readonly next: Buffer | null }> {
    const range = hintsOf(target)
    const slice = { from: from ?? range.from, to: range.to }
    const { rows, next } = await this.#options.store.walkAside(slice, limit)
    const hints: Hint[] = []
    for (const row of rows) {
      const hint = this.#read(row)
      if (hint !== null) hints.push(hint)
    }
    return { hints, next }
  }

  /** Deletes the hint if it still holds exactly this object: what was merged in meanwhile nobody has acknowledged. */
  deleteIfUnchanged(
    target: string,
    key: ObjectKey,
    objectHash: Uint8Array
  ): 'deleted' | 'changed' | 'gone' {
    const held = this.get(target, key)
    if (held === null) return 'gone'
    if (!equalBytes(held.objectHash, objectHash)) return 'changed'
    const row = hintRowKey(target, key)
    this.#changed(row, held, null)
    // A delete that is lost in a crash only means that the target is told the same once more.
    void this.#options.store.changeAside([{ type: 'del', key: row }]).catch(() => {})
    return 'deleted'
  }

  /**
   * For each partition the least counter, of each of these incarnations, that is still among the hints: below it, and
   * only below it, a report may claim that all lies in some replica's rows. Null until it is known.
   */
  ownDotsByPartition(
    incarnations: ReadonlySet<Incarnation>
  ): ReadonlyMap<number, ReadonlyMap<Incarnation, number>> | null {
    return this.isReady ? this.#index.leastDots(incarnations) : null
  }

  #indexed(hint: Hint): IndexedHint {
    const { target, bytes, storedMs, versions } = hint
    return { target, partition: this.#options.partitionOf(hint.key), bytes, storedMs, versions }
  }

  #changed(row: Buffer, before: Hint | null, after: IndexedHint | null): void {
    if (this.#cursor !== null && compareBytes(row, this.#cursor) >= 0) {
      this.#touched.set(row.toString('latin1'), row)
      return
    }
    if (before !== null) this.#index.remove(this.#indexed(before))
    if (after !== null) this.#index.add(after)
    else if (before !== null && this.isReady && !this.#index.has(before.target)) {
      this.#targets.delete(before.target)
    }
  }

  #read({ key, content }: AsideRow): Hint | null {
    return content === null ? null : this.#decode(parseHintRowKey(key), key, content)
  }

  #decode({ target, key }: HintKey, row: Buffer, content: Buffer): Hint | null {
    try {
      const { storedMs, versions } = decodeHint(content)
      const bytes = row.length + content.length
      return { target, key, storedMs, versions, bytes, objectHash: hashObject(versions) }
    } catch (thrown) {
      if (!(thrown instanceof DecodeError)) throw thrown
      this.#drop(row, thrown.message)
      return null
    }
  }

  #noteDamage(row: Buffer, reason: string): void {
    if (isHintRowKey(row)) this.#drop(row, reason)
  }

  // What the row had added to the sums cannot be read any more, so that they have to be gathered anew.
  #drop(row: Buffer, reason: string): void {
    const { log, store, partitionOf, onRangeMissed } = this.#options
    const { target, key } = parseHintRowKey(row)
    this.counters.damaged++
    log.error(
      { target, bucket: String(key.bucket), key: String(key.key), reason },
      'a hint is damaged and was dropped; its partition is repaired soon'
    )
    onRangeMissed(partitionOf(key), target)
    void store.changeAside([{ type: 'del', key: row }]).catch(() => {})
    if (this.#cursor === null || compareBytes(row, this.#cursor) < 0) this.#count()
  }

  #count(): void {
    this.#index.clear()
    this.#touched.clear()
    this.#cursor = allHints.from
    const counted = this.#countFrom(++this.#walks)
    this.#ready = counted
    // Whoever waits sees the failure; the store itself has told its owner.
    counted.catch(() => {})
  }

  async #countFrom(walk: number): Promise<void> {
    for (let from: Buffer | null = allHints.from; from !== null; from = this.#cursor) {
      this.#touched.clear()
      const range = { from, to: allHints.to }
      const { rows, next } = await this.#options.store.walkAside(range, sliceRowsMax)
      if (walk !== this.#walks) return this.#ready
      this.#addSlice(rows, next ?? allHints.to)
      // Reading a row may have found damage behind the cursor, and then another walk has begun.
      if (walk !== this.#walks) return this.#ready
      this.#cursor = next
    }
    for (const target of this.#targets) if (!this.#index.has(target)) this.#targets.delete(target)
  }

  // Nothing is awaited here: the slice and what changed while it was read come to one moment.
  #addSlice(rows: readonly AsideRow[], end: Buffer): void {
    for (const row of rows) {
      if (this.#touched.has(row.key.toString('latin1'))) continue
      const hint = this.#read(row)
      if (hint !== null) this.#index.add(this.#indexed(hint))
    }
    for (const row of this.#touched.values()) {
      if (compareBytes(row, end) >= 0) continue
      const { target, key } = parseHintRowKey(row)
      const hint = this.get(target, key)
      if (hint !== null) this.#index.add(this.#indexed(hint))
    }
  }
}
