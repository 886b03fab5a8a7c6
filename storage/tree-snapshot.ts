import { assert } from '../core/assert.ts'
import type { Hasher } from '../core/hash.ts'
import { leavesPerNode, leavesPerPartition, treeFanOut } from '../core/limits.ts'
import { leafBytes } from './leaf-sums.ts'
import type { TreeCopy } from './partition-tree.ts'
import { nodeDigest, nodesOnLevel } from './tree-nodes.ts'

/** The level of the leaves, below the root (0) and two levels of inner nodes. */
export const leafLevel = 3

export interface TreeSnapshotParts {
  /** No other snapshot of this process has it. */
  readonly id: number
  readonly partition: number
  readonly hasher: Hasher
  readonly copy: TreeCopy
}

/** A partition's hash tree as it was at one moment. It does not change any more. */
export class TreeSnapshot {
  readonly id: number
  readonly partition: number
  readonly leafCount = leavesPerPartition
  readonly #hasher: Hasher
  readonly #copy: TreeCopy

  constructor(parts: TreeSnapshotParts) {
    const bytes = leavesPerPartition * leafBytes
    assert(parts.copy.leaves.length === bytes, 'a snapshot has every leaf')
    this.id = parts.id
    this.partition = parts.partition
    this.#hasher = parts.hasher
    this.#copy = parts.copy
  }

  /** 16 bytes, equal exactly where two trees are (but for a collision of a keyed 128-bit hash). */
  get root(): Buffer {
    return nodeDigest(this.#copy.nodes, 0, 0)
  }

  /** Rows in the partition. */
  get keys(): number {
    return this.#copy.keys
  }

  /** 20 bytes: the count and the sums of one leaf, as `HashTrees.leafBytes` gives them. */
  leafBytes(leaf: number): Buffer {
    return this.#copy.leaves.subarray(leaf * leafBytes, (leaf + 1) * leafBytes)
  }

  /**
   * 16 bytes: the digest of a node. Level 0 is the root, 1 has 16 nodes, 2 has 256, 3 the leaves, whose digest is a hash of
   * their bytes; so that any of these may be cut short.
   *
   * Errors: throws for a node that does not exist.
   */
  node(level: number, index: number): Uint8Array {
    const count = level === leafLevel ? this.leafCount : (nodesOnLevel[level] ?? 0)
    assert(Number.isInteger(index) && index >= 0 && index < count, 'a tree has such a node')
    if (level === leafLevel) return this.#hasher(this.leafBytes(index))
    return nodeDigest(this.#copy.nodes, level, index)
  }

  /** The digests of a node's children: 16 of them, or the four leaves of a node of level 2. Errors: as `node`. */
  children(level: number, index: number): Uint8Array[] {
    assert(level >= 0 && level < leafLevel, 'a leaf has no children')
    const count = level === leafLevel - 1 ? leavesPerNode : treeFanOut
    return Array.from({ length: count }, (_, i) => this.node(level + 1, index * count + i))
  }
}
