import type { Hasher } from '../core/hash.ts'
import { leavesPerPartition } from '../core/limits.ts'
import { LeafSums } from './leaf-sums.ts'
import { TreeNodes } from './tree-nodes.ts'

/** Has changed since the checkpoint, and is marked so on disk in the batch of the first change. */
const dirtyFlag = 1
/** Nobody knows any more whether it is what the rows add up to; the rows have to be counted again. */
const distrustedFlag = 2

/** A tree at one moment. It does not change any more. */
export interface TreeCopy {
  /** The digests of all inner nodes. */
  readonly nodes: Buffer
  /** The bytes of all leaves. */
  readonly leaves: Buffer
  /** Rows in all leaves. */
  readonly keys: number
}

/**
 * One partition's hash tree as it stands, and what has to be remembered of each leaf. Invariant: while there is a
 * checkpoint on disk, a distrusted leaf is dirty, so that a start after a crash does not trust it either.
 */
export class PartitionTree {
  readonly leaves = new LeafSums(leavesPerPartition)
  readonly nodes: TreeNodes
  readonly #flags = new Uint8Array(leavesPerPartition)
  readonly #stamps = new Uint32Array(leavesPerPartition)
  /** Rows in all leaves. */
  keys = 0
  dirtyCount = 0
  distrustedCount = 0
  /** Without a checkpoint on disk the next start counts everything, and marks would tell it nothing. */
  hasCheckpoint = true

  /** Dropped with every change; weak, since it is as large as the tree. */
  #copy: WeakRef<TreeCopy> | null = null

  constructor(hasher: Hasher) {
    this.nodes = new TreeNodes(hasher)
  }

  /** The tree as it is now. Exchanges with several peers share one, as long as nothing changes. */
  copy(): TreeCopy {
    const last = this.#copy?.deref()
    if (last !== undefined) return last
    const nodes = Buffer.from(this.nodes.refreshed(this.leaves))
    const copy = { nodes, leaves: this.leaves.toBytes(0, leavesPerPartition), keys: this.keys }
    this.#copy = new WeakRef(copy)
    return copy
  }

  stamp(leaf: number): number {
    return this.#stamps[leaf] ?? 0
  }

  /** The leaf is another one now. */
  touch(leaf: number, stamp: number): void {
    this.#stamps[leaf] = stamp
    this.#copy = null
    this.nodes.leafChanged(leaf)
  }

  /** Puts other sums in the place of a leaf. */
  replace(leaf: number, counted: LeafSums, countedLeaf: number, stamp: number): void {
    this.keys += counted.count(countedLeaf) - this.leaves.count(leaf)
    this.leaves.set(leaf, counted, countedLeaf)
    this.touch(leaf, stamp)
  }

  isDirty(leaf: number): boolean {
    return this.#has(leaf, dirtyFlag)
  }

  setDirty(leaf: number, dirty: boolean): void {
    if (this.isDirty(leaf) !== dirty) this.dirtyCount += dirty ? 1 : -1
    this.#set(leaf, dirtyFlag, dirty)
  }

  isDistrusted(leaf: number): boolean {
    return this.#has(leaf, distrustedFlag)
  }

  setDistrusted(leaf: number, distrusted: boolean): void {
    if (this.isDistrusted(leaf) !== distrusted) this.distrustedCount += distrusted ? 1 : -1
    this.#set(leaf, distrustedFlag, distrusted)
  }

  #has(leaf: number, flag: number): boolean {
    return ((this.#flags[leaf] ?? 0) & flag) !== 0
  }

  #set(leaf: number, flag: number, on: boolean): void {
    const flags = this.#flags[leaf] ?? 0
    this.#flags[leaf] = on ? flags | flag : flags & ~flag
  }
}
