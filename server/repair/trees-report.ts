import { toHex } from '../../core/bytes.ts'

/** What the report needs of the trees that this node keeps. */
export interface TreesSource {
  /** The partitions that this node is a replica of, in order. */
  readonly partitions: readonly number[]
  /** Resolves once the tree is loaded and says what the rows say. */
  ready(partition: number): Promise<void>
  keysIn(partition: number): number
  root(partition: number): Uint8Array
  /** Recomputes from the rows; answers the leaves that differed, and corrects them. */
  verify(partition: number): Promise<readonly number[]>
}

export interface TreeReport {
  readonly partition: number
  readonly keys: number
  readonly root: string
  /** Only where it was recomputed. */
  readonly verified?: boolean
  /** The leaves that differed, where any did. */
  readonly leaves?: readonly number[]
}

/** The trees one by one; with `verify` each is recomputed first. */
export async function treesReport(
  source: TreesSource,
  verify: boolean
): Promise<readonly TreeReport[]> {
  const reports: TreeReport[] = []
  for (const partition of source.partitions) {
    await source.ready(partition)
    const leaves = verify ? await source.verify(partition) : null
    const found = leaves === null ? {} : { verified: leaves.length === 0 }
    const differing = leaves === null || leaves.length === 0 ? {} : { leaves }
    const keys = source.keysIn(partition)
    reports.push({ partition, keys, root: toHex(source.root(partition)), ...found, ...differing })
  }
  return reports
}
