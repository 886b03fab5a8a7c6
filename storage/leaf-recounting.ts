import { sliceRowsMax } from '../core/limits.ts'
import type { HashTrees } from './hash-trees.ts'
import type { RowRange } from './keys.ts'
import { LeafRecount, type LeafRun } from './leaf-recount.ts'
import type { HashedRow, WalkedRow } from './row-reader.ts'
import type { Store } from './store.ts'

export interface RecountContext {
  readonly store: Store
  readonly trees: HashTrees
  /** Leaves that were trusted are not what the rows add up to: rows vanished or turned old behind the store's back. */
  readonly onDiffering: (partition: number, leaves: readonly number[]) => void
}

/** What else is looked at in each row by the way. */
export interface RowInspection {
  /** In the very moment of the slice, without waiting. */
  visit(rows: readonly WalkedRow[]): void
  /** After each slice. */
  afterSlice(): Promise<void>
}

export interface RecountResult {
  readonly rows: number
  /** The leaves before this one are counted. */
  readonly end: number
  readonly differing: readonly number[]
  /** Leaves in which damage was met meanwhile, so that they are to be counted once more. */
  readonly damaged: readonly number[]
}

/**
 * Counts a run of leaves anew from the rows, while writes go on, and sets them right. Stops early, at the end of a leaf,
 * when `rowsMax` rows have been read; of each run at least one leaf is counted.
 *
 * Errors: the store's failure; `not_ready` once it is closing.
 */
export async function recountLeaves(
  { store, trees, onDiffering }: RecountContext,
  run: LeafRun,
  rowsMax = Number.POSITIVE_INFINITY,
  inspection?: RowInspection
): Promise<RecountResult> {
  const { from, to } = trees.rangeOf(run.partition, run.first, run.end)
  const recount = new LeafRecount(run, from)
  const differing: number[] = []
  let rows = 0
  let end = run.first

  const visit = (found: readonly HashedRow[], next: Buffer | null): Buffer | null => {
    for (const { rowKey, objectHash } of found) {
      recount.count(trees.placeOf(rowKey).leaf, trees.entryDigest(rowKey, objectHash))
    }
    recount.advance(next ?? to)
    rows += found.length
    const reached = next === null ? run.end : trees.placeOf(next).leaf
    const conclusion = trees.conclude(recount, end, reached)
    const isEnough = rows >= rowsMax && reached > run.first
    end = reached
    differing.push(...conclusion.differing)
    if (conclusion.differing.length > 0) onDiffering(run.partition, conclusion.differing)
    if (conclusion.changes.length > 0) void store.changeAside(conclusion.changes)
    return isEnough ? null : next
  }
  const inspect = (walked: readonly WalkedRow[], next: Buffer | null): Buffer | null => {
    inspection?.visit(walked)
    return visit(walked.flatMap(asHashed), next)
  }

  trees.follow(recount)
  try {
    let place: Buffer | null = from
    while (place !== null) {
      const range: RowRange = { from: place, to }
      place =
        inspection === undefined
          ? await store.walkHashes(range, sliceRowsMax, visit)
          : await store.walkExactly(range, sliceRowsMax, inspect)
      await inspection?.afterSlice()
    }
  } finally {
    trees.unfollow(recount)
  }
  return { rows, end, differing, damaged: recount.spoiled }
}

function asHashed({ key, row }: WalkedRow): HashedRow[] {
  return row === null ? [] : [{ rowKey: key.row, objectHash: row.objectHash }]
}
