/** The hash tree of one partition, as a node reports it. */
export interface Tree {
  readonly partition: number
  readonly keys: number
  readonly root: string
  /** Only where it was recomputed from the rows. */
  readonly verified?: boolean
  /** The leaves that were not what their rows add up to. */
  readonly leaves?: readonly number[]
}

/**
 * The hash trees of a node; with `verify` it recomputes them from its rows first, which takes a while. Errors: rejects
 * with what was answered.
 */
export async function readTrees(
  url: string,
  verify: boolean,
  signal?: AbortSignal
): Promise<readonly Tree[]> {
  const init = signal === undefined ? {} : { signal }
  const response = await fetch(`${url}/admin/trees${verify ? '?verify=true' : ''}`, init)
  const text = await response.text()
  if (!response.ok) throw new Error(`GET ${response.url} was answered ${response.status}: ${text}`)
  return JSON.parse(text)
}

/** The partitions whose trees are not the same on all nodes that keep them. */
export function differingPartitions(trees: readonly (readonly Tree[])[]): readonly number[] {
  const byPartition = new Map<number, Set<string>>()
  for (const ofNode of trees) {
    for (const { partition, root, keys } of ofNode) {
      const found = byPartition.get(partition) ?? new Set()
      byPartition.set(partition, found.add(`${root} over ${keys} keys`))
    }
  }
  return [...byPartition].filter(([, found]) => found.size > 1).map(([partition]) => partition)
}

/** How many keys a node has fewer than the fullest of the others, in the partitions that it keeps. */
export function missingKeys(own: readonly Tree[], others: readonly (readonly Tree[])[]): number {
  const most = new Map<number, number>()
  for (const { partition, keys } of others.flat()) {
    most.set(partition, Math.max(most.get(partition) ?? 0, keys))
  }
  return own.reduce(
    (sum, { partition, keys }) => sum + Math.max(0, (most.get(partition) ?? 0) - keys),
    0
  )
}
