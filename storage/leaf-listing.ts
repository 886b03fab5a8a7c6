import { compareBytes, equalBytes } from '../core/bytes.ts'
import { sliceRowsMax } from '../core/limits.ts'
import { DamagedRowError } from './damage.ts'
import type { HashTrees } from './hash-trees.ts'
import type { ObjectKey } from './keys.ts'
import type { LeafFollower, LeafRun } from './leaf-recount.ts'
import { LeafSums } from './leaf-sums.ts'
import type { Row } from './row-codec.ts'
import type { Store, WalkedRow } from './store.ts'
import type { Versions } from './version.ts'

/** One row of a leaf. */
export interface ListedRow {
  readonly key: ObjectKey
  /** Values that are kept apart are not read from disk. */
  readonly versions: Versions
  readonly objectHash: Uint8Array
  /** 16 bytes: what the row adds to the leaf. */
  readonly entryDigest: Uint8Array
}

/** All rows of a leaf as they were at one moment, in the order of their keys; damaged ones are none. */
export interface LeafListing {
  readonly leaf: number
  /** The stamp of the leaf at that moment: as long as it is the leaf's stamp, the listing is what the rows are. */
  readonly stampedAt: number
  readonly entries: readonly ListedRow[]
  /** Whether the rows add up to the leaf of the tree at that moment. */
  readonly agrees: boolean
}

/** Remembers which rows changed behind the place that a listing has come to, in order to read them once more. */
class ChangedRows implements LeafFollower {
  readonly run: LeafRun
  readonly keys = new Map<string, ObjectKey>()

  constructor(run: LeafRun) {
    this.run = run
  }

  changed(key: ObjectKey): void {
    this.keys.set(key.id, key)
  }

  distrusted(key: ObjectKey | null): void {
    if (key !== null) this.keys.set(key.id, key)
  }
}

/**
 * Lists leaves of a partition, in rising order, while writes go on: slice by slice, and then, in the turn of the last
 * slice, the rows that changed meanwhile once more, so that all are exact for that moment. Rows between them are read
 * too: for leaves that are close together that costs less than beginning anew.
 *
 * Errors: the store's failure; `not_ready` once it is closing.
 */
export async function listLeaves(
  store: Store,
  trees: HashTrees,
  partition: number,
  leaves: readonly number[]
): Promise<readonly LeafListing[]> {
  const [first, last] = [leaves[0], leaves.at(-1)]
  if (first === undefined || last === undefined) return []
  const run = { partition, first, end: last + 1 }
  const { from, to } = trees.rangeOf(partition, run.first, run.end)
  const changed = new ChangedRows(run)
  const rows = new Map(leaves.map((leaf) => [leaf, new Map<string, ListedRow>()]))
  const put = (key: ObjectKey, row: Row | null) => {
    const ofLeaf = rows.get(trees.leafOf(key).leaf)
    if (row === null) ofLeaf?.delete(key.id)
    else ofLeaf?.set(key.id, listed(trees, key, row))
  }
  const finish = (): readonly LeafListing[] => {
    for (const key of changed.keys.values()) put(key, readOrNone(store, key))
    return [...rows].map(([leaf, found]) => finished(trees, partition, leaf, [...found.values()]))
  }

  const isWanted = (rowKey: Buffer) => rows.has(trees.placeOf(rowKey).leaf)
  const visit = (found: readonly WalkedRow[], next: Buffer | null) => {
    for (const { key, row } of found) put(key, row)
    return next ?? finish()
  }

  trees.follow(changed)
  try {
    let place = from
    for (;;) {
      const outcome = await store.walkExactly({ from: place, to }, sliceRowsMax, visit, isWanted)
      if (!Buffer.isBuffer(outcome)) return outcome
      place = outcome
    }
  } finally {
    trees.unfollow(changed)
  }
}

function finished(
  trees: HashTrees,
  partition: number,
  leaf: number,
  rows: ListedRow[]
): LeafListing {
  const entries = rows.sort((a, b) => compareBytes(a.key.row, b.key.row))
  const sums = new LeafSums(1)
  for (const { entryDigest } of entries) sums.add(0, entryDigest)
  const addsUp = equalBytes(sums.toBytes(0, 1), trees.leafBytes(partition, leaf))
  return {
    leaf,
    stampedAt: trees.stamp(partition, leaf),
    entries,
    agrees: addsUp && trees.isLeafTrusted(partition, leaf)
  }
}

/** Leaves in rising order, cut where the rows in between are not worth reading or a run becomes long. */
export function runsOf(leaves: readonly number[], rowsInLeaf: number): number[][] {
  const runs: number[][] = []
  for (const leaf of leaves) {
    const run = runs.at(-1)
    const [first, last] = [run?.[0] ?? 0, run?.at(-1) ?? 0]
    const isNear = (leaf - last - 1) * rowsInLeaf <= rowsPassedMax
    const isShort = (leaf + 1 - first) * rowsInLeaf <= sliceRowsMax
    if (run !== undefined && isNear && isShort) run.push(leaf)
    else runs.push([leaf])
  }
  return runs
}

/** What the beginning of a slice costs, in rows. */
const rowsPassedMax = 6

function listed(trees: HashTrees, key: ObjectKey, { versions, objectHash }: Row): ListedRow {
  return { key, versions, objectHash, entryDigest: trees.entryDigest(key.row, objectHash) }
}

function readOrNone(store: Store, key: ObjectKey): Row | null {
  try {
    return store.read(key)
  } catch (thrown) {
    if (thrown instanceof DamagedRowError) return null
    throw thrown
  }
}
