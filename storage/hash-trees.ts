import { assert } from '../core/assert.ts'
import { equalBytes } from '../core/bytes.ts'
import type { Hasher } from '../core/hash.ts'
import { leavesPerPartition, sliceRowsMax } from '../core/limits.ts'
import type { AsideChange } from './aside-rows.ts'
import { dirtyRowKey, leafRange, type ObjectKey, pieceOf } from './keys.ts'
import type { LeafFollower, LeafRecount } from './leaf-recount.ts'
import { LeafSums } from './leaf-sums.ts'
import { PartitionTree } from './partition-tree.ts'
import type { RowWatcher } from './store-options.ts'
import { nodeDigest } from './tree-nodes.ts'
import { TreeSnapshot } from './tree-snapshot.ts'

export interface HashTreesOptions {
  /** A power of two. */
  readonly partitions: number
  /** Keyed, 16 bytes. */
  readonly hasher: Hasher
}

/** Where a row is counted. */
export interface LeafPlace {
  readonly partition: number
  readonly leaf: number
}

/** What a count from the rows brought to light. */
export interface Conclusion {
  /** Leaves that were trusted and did not add up to their rows. */
  readonly differing: readonly number[]
  readonly changes: readonly AsideChange[]
}

const noChanges: AsideChange[] = []
const nothing = Buffer.alloc(0)

/**
 * The hash trees of all partitions, in memory. A change of a row changes one leaf, in the same turn: the digest of what
 * was there is subtracted, that of what is there now added. A leaf whose row was damaged is distrusted until its rows
 * have been counted again; so is every leaf that `load` found marked, and all of a partition without a checkpoint.
 */
export class HashTrees implements RowWatcher {
  readonly #hasher: Hasher
  readonly #trees: (PartitionTree | undefined)[]
  readonly #none: PartitionTree
  readonly #bits: number
  readonly #followers = new Set<LeafFollower>()
  #onDistrust: (partition: number) => void = () => {}
  #lastStamp = 0
  #lastSnapshot = 0

  constructor({ partitions, hasher }: HashTreesOptions) {
    this.#hasher = hasher
    this.#trees = new Array<PartitionTree | undefined>(partitions).fill(undefined)
    this.#none = new PartitionTree(hasher)
    this.#bits = Math.log2(partitions * leavesPerPartition)
    assert(Number.isInteger(this.#bits), 'the partitions are a power of two')
  }

  get partitions(): number {
    return this.#trees.length
  }

  leafOf(key: ObjectKey): LeafPlace {
    return this.placeOf(key.row)
  }

  /** As `leafOf`, from the key of an object's row. */
  placeOf(rowKey: Buffer): LeafPlace {
    const piece = pieceOf(rowKey, this.#bits)
    return {
      partition: Math.floor(piece / leavesPerPartition),
      leaf: piece % leavesPerPartition
    }
  }

  /** What a row adds to its leaf: 16 bytes over its key and its object hash. */
  entryDigest(rowKey: Uint8Array, objectHash: Uint8Array): Uint8Array {
    return this.#hasher(rowKey, objectHash)
  }

  /** Rows in the partition. */
  keysIn(partition: number): number {
    return this.#treeOrNone(partition).keys
  }

  /** Another number after every change of the leaf. */
  stamp(partition: number, leaf: number): number {
    return this.#treeOrNone(partition).stamp(leaf)
  }

  /** 20 bytes: the count and four sums, each 32 bits, big-endian. */
  leafBytes(partition: number, leaf: number): Buffer {
    return this.#treeOrNone(partition).leaves.toBytes(leaf, leaf + 1)
  }

  /** 16 bytes, equal exactly where two replicas hold the same versions of the same keys. */
  root(partition: number): Uint8Array {
    const { leaves, nodes } = this.#treeOrNone(partition)
    return Buffer.from(nodeDigest(nodes.refreshed(leaves), 0, 0))
  }

  /** Where something has changed since the last one it costs a copy, and a hash for each inner node above the change. */
  snapshot(partition: number): TreeSnapshot {
    const tree = this.#treeOrNone(partition)
    const id = ++this.#lastSnapshot
    return new TreeSnapshot({ id, partition, hasher: this.#hasher, copy: tree.copy() })
  }

  /** Whether every leaf is what the rows add up to, as far as anybody knows. */
  isTrusted(partition: number): boolean {
    return this.#treeOrNone(partition).distrustedCount === 0
  }

  isLeafTrusted(partition: number, leaf: number): boolean {
    return !this.#treeOrNone(partition).isDistrusted(leaf)
  }

  change(key: ObjectKey, before: Uint8Array | null, after: Uint8Array | null): AsideChange[] {
    if (before === after) return noChanges
    if (before !== null && after !== null && equalBytes(before, after)) return noChanges
    const { partition, leaf } = this.leafOf(key)
    const tree = this.#treeOf(partition)
    const removed = before === null ? null : this.entryDigest(key.row, before)
    const added = after === null ? null : this.entryDigest(key.row, after)
    if (removed !== null) tree.leaves.subtract(leaf, removed)
    if (added !== null) tree.leaves.add(leaf, added)
    tree.keys += (added === null ? 0 : 1) - (removed === null ? 0 : 1)
    tree.touch(leaf, ++this.#lastStamp)
    for (const follower of this.#followers) {
      if (isIn(follower, partition, leaf)) follower.changed(key, leaf, removed, added)
    }
    return this.#marked(tree, partition, leaf)
  }

  distrust(key: ObjectKey): AsideChange[] {
    const { partition, leaf } = this.leafOf(key)
    return this.#distrust(partition, leaf, key)
  }

  /** The changes are to be staged in the same turn. */
  distrustLeaf(partition: number, leaf: number): AsideChange[] {
    return this.#distrust(partition, leaf, null)
  }

  /** Who counts leaves again when they are distrusted. `callback` must not read or change rows at once. */
  onDistrust(callback: (partition: number) => void): void {
    this.#onDistrust = callback
  }

  /** Runs of leaves to be counted again; those close to each other in one, as a slice reads more than a few leaves. */
  distrustedRuns(partition: number): { first: number; end: number }[] {
    const tree = this.#treeOrNone(partition)
    const runs: { first: number; end: number }[] = []
    // So many leaves, of which the trusted ones are checked by the way, hold about a slice.
    const near = 1 + Math.ceil((sliceRowsMax / 4) * (leavesPerPartition / (tree.keys + 1024)))
    for (let leaf = 0; leaf < leavesPerPartition; leaf++) {
      if (!tree.isDistrusted(leaf)) continue
      const run = runs.at(-1)
      if (run !== undefined && leaf - run.end < near) run.end = leaf + 1
      else runs.push({ first: leaf, end: leaf + 1 })
    }
    return runs
  }

  /** From now on, until `unfollow`. */
  follow(follower: LeafFollower): void {
    this.#followers.add(follower)
  }

  unfollow(follower: LeafFollower): void {
    this.#followers.delete(follower)
  }

  /**
   * Puts what was counted in the place of the leaves from `first` up to and without `end`, which the count has come past.
   * The changes are to be staged in the same turn.
   */
  conclude(recount: LeafRecount, first: number, end: number): Conclusion {
    const { partition } = recount.run
    const tree = this.#treeOf(partition)
    const isAsCounted =
      recount.spoiled.length === 0 &&
      tree.distrustedCount === 0 &&
      tree.leaves.areEqual(first, end - first, recount.sums, first - recount.run.first)
    // Nearly always.
    if (isAsCounted) return { differing: [], changes: noChanges }
    const differing: number[] = []
    const changes: AsideChange[] = []
    for (let leaf = first; leaf < end; leaf++) {
      if (recount.isSpoiled(leaf)) continue
      const counted = leaf - recount.run.first
      if (!tree.leaves.isEqual(leaf, recount.sums, counted)) {
        if (!tree.isDistrusted(leaf)) differing.push(leaf)
        tree.replace(leaf, recount.sums, counted, ++this.#lastStamp)
        changes.push(...this.#marked(tree, partition, leaf))
      }
      tree.setDistrusted(leaf, false)
    }
    return { differing, changes }
  }

  /** The partition as its checkpoint has it; null: there is none, so that nothing is known of its leaves. */
  load(partition: number, leaves: LeafSums | null): void {
    const tree = this.#treeOf(partition)
    tree.hasCheckpoint = leaves !== null
    const sums = leaves ?? new LeafSums(leavesPerPartition)
    for (let leaf = 0; leaf < leavesPerPartition; leaf++) {
      // What has changed before this was marked, since a checkpoint was taken for granted.
      if (leaves === null || tree.isDirty(leaf)) tree.setDistrusted(leaf, true)
      // Most leaves of a partition with few rows were empty, and are.
      if (!tree.leaves.isEqual(leaf, sums, leaf)) tree.replace(leaf, sums, leaf, ++this.#lastStamp)
    }
    if (tree.distrustedCount > 0) this.#onDistrust(partition)
  }

  /** A mark that was found on disk. */
  loadMark(partition: number, leaf: number): void {
    this.#treeOf(partition).setDirty(leaf, true)
  }

  /** Whether a start after a crash would have to count leaves of the partition again. */
  wantsCheckpoint(partition: number): boolean {
    const tree = this.#treeOrNone(partition)
    return tree.dirtyCount > 0 || (!tree.hasCheckpoint && tree.keys > 0)
  }

  /**
   * The bytes of all leaves of a partition that is trusted, and the removal of their marks: to be staged, together, in the
   * same turn.
   */
  takeCheckpoint(partition: number): { leaves: Buffer; changes: AsideChange[] } {
    const tree = this.#treeOf(partition)
    assert(tree.distrustedCount === 0, 'only trusted leaves are written down')
    const changes: AsideChange[] = []
    for (let leaf = 0; leaf < leavesPerPartition && tree.dirtyCount > 0; leaf++) {
      if (!tree.isDirty(leaf)) continue
      changes.push({ type: 'del', key: dirtyRowKey(partition, leaf) })
      tree.setDirty(leaf, false)
    }
    tree.hasCheckpoint = true
    return { leaves: tree.leaves.toBytes(0, leavesPerPartition), changes }
  }

  /** The keys of the rows of some leaves. */
  rangeOf(partition: number, first: number, end: number): ReturnType<typeof leafRange> {
    return leafRange({ partition, first, end }, this.partitions, leavesPerPartition)
  }

  #distrust(partition: number, leaf: number, key: ObjectKey | null): AsideChange[] {
    const tree = this.#treeOf(partition)
    tree.setDistrusted(leaf, true)
    for (const follower of this.#followers) {
      if (isIn(follower, partition, leaf)) follower.distrusted(key, leaf)
    }
    this.#onDistrust(partition)
    return this.#marked(tree, partition, leaf)
  }

  #marked(tree: PartitionTree, partition: number, leaf: number): AsideChange[] {
    if (!tree.hasCheckpoint || tree.isDirty(leaf)) return noChanges
    tree.setDirty(leaf, true)
    return [{ type: 'put', key: dirtyRowKey(partition, leaf), content: nothing }]
  }

  #treeOf(partition: number): PartitionTree {
    const found = this.#trees[partition]
    if (found !== undefined) return found
    assert(partition < this.partitions, 'the partition is one of the cluster')
    const tree = new PartitionTree(this.#hasher)
    this.#trees[partition] = tree
    return tree
  }

  #treeOrNone(partition: number): PartitionTree {
    return this.#trees[partition] ?? this.#none
  }
}

function isIn({ run }: LeafFollower, partition: number, leaf: number): boolean {
  return run.partition === partition && leaf >= run.first && leaf < run.end
}
