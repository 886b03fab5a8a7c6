import { compareBytes } from '../../core/bytes.ts'
import { nodeBytes } from './messages.ts'
import type { PartitionSnapshot } from './range-side.ts'

/** The digests of a node's children, cut and side by side. */
export function childDigests(
  snapshot: PartitionSnapshot,
  level: number,
  index: number,
  fanout: number
): Buffer {
  const digests = Buffer.allocUnsafe(fanout * nodeBytes)
  for (let child = 0; child < fanout; child++) {
    const digest = snapshot.node(level + 1, index * fanout + child)
    digests.set(digest.subarray(0, nodeBytes), child * nodeBytes)
  }
  return digests
}

/** A bit for each child that differs. Where cut digests hide the difference, all children are looked at. */
export function differingChildren(ours: Buffer, theirs: Uint8Array, fanout: number): number {
  let mask = 0
  for (let child = 0; child < fanout; child++) {
    const at = child * nodeBytes
    const other = theirs.subarray(at, at + nodeBytes)
    if (compareBytes(ours.subarray(at, at + nodeBytes), other) !== 0) mask |= 1 << child
  }
  return mask === 0 ? 2 ** fanout - 1 : mask
}

/** The children whose bits are set, in rising order. */
export function childrenIn(mask: number, fanout: number): number[] {
  const children: number[] = []
  for (let child = 0; child < fanout; child++) if ((mask >>> child) & 1) children.push(child)
  return children
}
