import { compareBytes } from '../core/bytes.ts'
import type { ObjectKey } from './keys.ts'
import { LeafSums } from './leaf-sums.ts'

/** Some leaves in a row of one partition's tree: from `first` up to and without `end`. */
export interface LeafRun {
  readonly partition: number
  readonly first: number
  readonly end: number
}

/** Is told of changes in a run of leaves, each in the turn in which it is staged. */
export interface LeafFollower {
  readonly run: LeafRun
  /** `removed`, `added`: the digests of the row before and after, null where there is none. */
  changed(key: ObjectKey, leaf: number, removed: Uint8Array | null, added: Uint8Array | null): void
  /** The leaf cannot be trusted any more; null: not because of one row. */
  distrusted(key: ObjectKey | null, leaf: number): void
}

/**
 * The sums of a run of leaves counted anew from the rows, while writes go on. Rows are met in order: a change behind
 * the place that the count has come to is added to it, one ahead is met there later. So at any moment the count is exact
 * for the rows behind that place, and in the end for all.
 */
export class LeafRecount implements LeafFollower {
  readonly run: LeafRun
  readonly sums: LeafSums
  readonly #spoiled = new Set<number>()
  /** Row keys below this one are counted. */
  #place: Buffer

  constructor(run: LeafRun, place: Buffer) {
    this.run = run
    this.sums = new LeafSums(run.end - run.first)
    this.#place = place
  }

  /** The rows up to `place` follow, by `count`, in the same turn. */
  advance(place: Buffer): void {
    this.#place = place
  }

  count(leaf: number, digest: Uint8Array): void {
    this.sums.add(leaf - this.run.first, digest)
  }

  changed(
    key: ObjectKey,
    leaf: number,
    removed: Uint8Array | null,
    added: Uint8Array | null
  ): void {
    if (compareBytes(key.row, this.#place) >= 0) return
    if (removed !== null) this.sums.subtract(leaf - this.run.first, removed)
    if (added !== null) this.sums.add(leaf - this.run.first, added)
  }

  // A row that was counted may be none any more, and nobody can say what it had added.
  distrusted(_key: ObjectKey | null, leaf: number): void {
    this.#spoiled.add(leaf)
  }

  get spoiled(): number[] {
    return [...this.#spoiled]
  }

  isSpoiled(leaf: number): boolean {
    return this.#spoiled.has(leaf)
  }
}
