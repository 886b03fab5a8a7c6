import type { Pair } from '../../repair/pair-proofs.ts'
import type { ClusterState } from '../cluster-state.ts'
import type { OpenedReception } from '../open-reception.ts'
import type { NodeRepair } from './node-repair.ts'
import type { WatermarkAges } from './watermark-ages.ts'

export interface WatermarkSources {
  readonly repair: Pick<NodeRepair, 'trees'>
  readonly arriving: Pick<OpenedReception, 'watermarks'>
  readonly watermarkAges: WatermarkAges
  readonly cluster: Pick<ClusterState, 'ring'>
}

/** Two replicas that keep watermarks from rising, and in how many partitions. */
export interface HoldingPair {
  readonly nodes: readonly [string, string]
  /** They have proven nothing yet. */
  readonly unproven: number
  /** They have not proven all that was written since. */
  readonly notUpToDate: number
}

export interface WatermarkReport {
  /** Those that this node holds. */
  readonly partitions: number
  readonly unproven: number
  readonly heldUp: number
  /** Peers have proven more than this node can answer for. */
  readonly behind: number
  /** For how long, at the most, the watermark that waits longest has been held up; null: none is. */
  readonly oldestSeconds: number | null
  readonly pairs: readonly HoldingPair[]
  /** Members that no report was ever heard of. */
  readonly membersUnheard: readonly string[]
}

/** How far watermarks have risen, and what holds them up. */
export function watermarkReport(sources: WatermarkSources): WatermarkReport {
  const { watermarks } = sources.arriving
  const { partitions } = sources.repair.trees
  const pairs = new Map<
    string,
    { nodes: [string, string]; unproven: number; notUpToDate: number }
  >()
  const entryOf = ({ a, b }: Pair) => {
    const name = JSON.stringify([a, b])
    const entry = pairs.get(name) ?? { nodes: [a, b], unproven: 0, notUpToDate: 0 }
    pairs.set(name, entry)
    return entry
  }
  let unproven = 0
  let heldUp = 0
  let oldestSeconds: number | null = null
  for (const partition of partitions) {
    const { pairsWithoutProof, pairsNotUpToDate } = watermarks.holdup(partition)
    if (pairsWithoutProof.length + pairsNotUpToDate.length === 0) {
      sources.watermarkAges.seenCurrent(partition)
      continue
    }
    heldUp++
    if (pairsWithoutProof.length > 0) unproven++
    oldestSeconds = Math.max(oldestSeconds ?? 0, sources.watermarkAges.heldUpSeconds(partition))
    for (const pair of pairsWithoutProof) entryOf(pair).unproven++
    for (const pair of pairsNotUpToDate) entryOf(pair).notUpToDate++
  }
  return {
    partitions: partitions.length,
    unproven,
    heldUp,
    behind: watermarks.partitionsBehind,
    oldestSeconds: oldestSeconds === null ? null : Math.round(oldestSeconds),
    pairs: [...pairs.values()].sort((a, b) => (a.nodes.join() < b.nodes.join() ? -1 : 1)),
    membersUnheard: watermarks.withoutReport(sources.cluster.ring.memberIds)
  }
}
