import { DecodeError } from '../../core/errors.ts'
import { leavesPerNode, treeFanOut } from '../../core/limits.ts'
import { all, perform, type Script } from './calls.ts'
import { childDigests, childrenIn, differingChildren } from './child-digests.ts'
import { type DescendPart, leavesBytes, type NodeAnswer, topBytes } from './messages.ts'
import type { PartitionProgress } from './partition-progress.ts'
import type { PartitionSnapshot } from './range-side.ts'
import type { SessionContext } from './session-context.ts'
import type { DifferingPartition } from './session-opening.ts'

/** Leaves that differ, by partition, in rising order. */
export type LeafSet = Map<PartitionProgress, number[]>

/** Requests of one kind that are in flight at a time. */
export const laneCount = 4
const partsBytesMax = 64 * 1024

/**
 * Finds the leaves that differ, all partitions at once and two levels a round trip: each side in turn sends the digests
 * below what the other has just found to differ. The opening brought those of level 1; what goes out are those of level
 * 2, and what comes back are those of the leaves.
 */
export function* descend(
  context: SessionContext,
  partitions: readonly DifferingPartition[]
): Script<LeafSet> {
  const leaves: LeafSet = new Map()
  const messages = yield* cutParts(partitions)
  const lane = function* (): Script<void> {
    for (let parts = messages.shift(); parts !== undefined; parts = messages.shift()) {
      yield* descendParts(context, parts, leaves)
    }
  }
  yield* all(Array.from({ length: Math.min(laneCount, messages.length) }, lane))
  for (const numbers of leaves.values()) numbers.sort((a, b) => a - b)
  for (const { progress } of partitions) forgetTree(progress)
  return leaves
}

/** Every leaf, where one side holds nothing and all that the other holds is only to be counted. */
export function allLeaves(
  context: SessionContext,
  partitions: readonly PartitionProgress[]
): LeafSet {
  const { leafCount } = context.side
  return new Map(
    partitions.map((progress) => [progress, Array.from({ length: leafCount }, (_, n) => n)])
  )
}

/** Only the id of a snapshot is needed once the tree was gone through, and a copy of the leaves is 20 KiB. */
export function forgetTree(progress: PartitionProgress): void {
  const { snapshot } = progress
  if (snapshot === null) return
  const { id, partition, keys, root } = snapshot
  progress.snapshot = { id, partition, keys, root, node: () => root }
}

interface NodesOf {
  readonly progress: PartitionProgress
  readonly snapshot: PartitionSnapshot
  readonly part: DescendPart
}

function* cutParts(partitions: readonly DifferingPartition[]): Script<NodesOf[][]> {
  const messages: NodesOf[][] = []
  let room = 0
  for (const { progress, children } of partitions) {
    const { snapshot } = progress
    if (snapshot === null) continue
    yield* perform({ kind: 'turn' })
    const top = childDigests(snapshot, 0, 0, treeFanOut)
    const indexes = childrenIn(differingChildren(top, children, treeFanOut), treeFanOut)
    const nodes = indexes.map((index) => ({
      index,
      children: childDigests(snapshot, 1, index, treeFanOut)
    }))
    if (room < nodes.length * topBytes) {
      messages.push([])
      room = partsBytesMax
    }
    messages.at(-1)?.push({ progress, snapshot, part: { ...progress.ref, nodes } })
    room -= nodes.length * topBytes
  }
  return messages
}

function* descendParts(
  context: SessionContext,
  nodes: readonly NodesOf[],
  leaves: LeafSet
): Script<void> {
  const parts = nodes.map(({ part }) => part)
  const reply = yield* context.ask({ kind: 'descend', parts }, 'descended')
  for (const [i, { progress, snapshot, part }] of nodes.entries()) {
    yield* perform({ kind: 'turn' })
    const answers = reply?.parts[i] ?? null
    if (answers === null) {
      context.restart(progress, 'the peer speaks of another snapshot')
      continue
    }
    if (answers.length !== part.nodes.length) throw new DecodeError('an answer about other nodes')
    const found = leaves.get(progress) ?? []
    leaves.set(progress, found)
    for (const [n, { index }] of part.nodes.entries()) {
      for (const leaf of differingLeaves(snapshot, index, answers[n])) found.push(leaf)
    }
  }
}

function differingLeaves(
  snapshot: PartitionSnapshot,
  index: number,
  answer: NodeAnswer | undefined
): number[] {
  const { mask, leaves } = answer ?? { mask: 0, leaves: Buffer.alloc(0) }
  const differing: number[] = []
  for (const [i, child] of childrenIn(mask, treeFanOut).entries()) {
    const node = index * treeFanOut + child
    const ours = childDigests(snapshot, 2, node, leavesPerNode)
    const theirs = leaves.subarray(i * leavesBytes, (i + 1) * leavesBytes)
    for (const leaf of childrenIn(differingChildren(ours, theirs, leavesPerNode), leavesPerNode)) {
      differing.push(node * leavesPerNode + leaf)
    }
  }
  return differing
}
