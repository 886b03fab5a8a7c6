import { digestBytes, type Hasher } from '../core/hash.ts'
import { leavesPerNode, treeFanOut } from '../core/limits.ts'
import { type LeafSums, leafBytes } from './leaf-sums.ts'

/** Nodes of the levels above the leaves: the root, 16, and 256 with four leaves each. */
export const nodesOnLevel = [1, treeFanOut, treeFanOut * treeFanOut] as const
const lowest = 2
const firstOfLevel = [0, 1, 1 + treeFanOut] as const
const nodeCount = 1 + treeFanOut + treeFanOut * treeFanOut

/** The digest of a node whose leaves hold no rows; what a hasher makes of it is the same in every tree. */
const emptyDigests = new WeakMap<Hasher, Uint8Array>()
const noLeaves = new Uint8Array(leavesPerNode * leafBytes)

function emptyDigest(hasher: Hasher): Uint8Array {
  let digest = emptyDigests.get(hasher)
  if (digest === undefined) {
    digest = Uint8Array.from(hasher(noLeaves))
    emptyDigests.set(hasher, digest)
  }
  return digest
}

/**
 * The inner nodes of one partition's tree, each the keyed hash of its children. They are computed when somebody asks,
 * and only where leaves below have changed since somebody last asked.
 */
export class TreeNodes {
  readonly #hasher: Hasher
  readonly #digests = Buffer.alloc(nodeCount * digestBytes)
  readonly #stale = new Uint8Array(nodeCount).fill(1)

  constructor(hasher: Hasher) {
    this.#hasher = hasher
  }

  leafChanged(leaf: number): void {
    let index = Math.floor(leaf / leavesPerNode)
    for (let level = lowest; level >= 0; level--) {
      this.#stale[(firstOfLevel[level] ?? 0) + index] = 1
      index = Math.floor(index / treeFanOut)
    }
  }

  /** All digests, the root first, then level by level. The bytes change with the next call. */
  refreshed(leaves: LeafSums): Buffer {
    for (let level = lowest; level >= 0; level--) {
      for (let index = 0; index < (nodesOnLevel[level] ?? 0); index++) {
        const at = (firstOfLevel[level] ?? 0) + index
        if (this.#stale[at] === 0) continue
        this.#digests.set(this.#digestOf(leaves, level, index), at * digestBytes)
        this.#stale[at] = 0
      }
    }
    return this.#digests
  }

  #digestOf(leaves: LeafSums, level: number, index: number): Uint8Array {
    if (level === lowest) {
      const first = index * leavesPerNode
      const end = first + leavesPerNode
      // Most nodes of a tree with few rows are empty, and a tree that was just loaded has all of them to compute.
      if (leaves.areZero(first, end)) return emptyDigest(this.#hasher)
      return this.#hasher(leaves.toBytes(first, end))
    }
    const first = (firstOfLevel[level + 1] ?? 0) + index * treeFanOut
    return this.#hasher(
      this.#digests.subarray(first * digestBytes, (first + treeFanOut) * digestBytes)
    )
  }
}

/** The digest of an inner node among those of `refreshed`. */
export function nodeDigest(digests: Buffer, level: number, index: number): Buffer {
  const at = ((firstOfLevel[level] ?? 0) + index) * digestBytes
  return digests.subarray(at, at + digestBytes)
}
