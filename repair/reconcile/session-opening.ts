import { DecodeError } from '../../core/errors.ts'
import { perform, type Script } from './calls.ts'
import { offersAbout } from './fact-offers.ts'
import { type OpenAnswer, rootBytes } from './messages.ts'
import type { PartitionProgress } from './partition-progress.ts'
import type { SessionContext } from './session-context.ts'

/** A partition that differs, and the peer's digests of the nodes below its root. */
export interface DifferingPartition {
  readonly progress: PartitionProgress
  readonly children: Uint8Array
}

/** Partitions one of whose sides holds nothing: rows are streamed, there is nothing to compare. */
export interface Opening {
  readonly differing: readonly DifferingPartition[]
  readonly emptyHere: readonly PartitionProgress[]
  readonly emptyThere: readonly PartitionProgress[]
}

const nothingOpened: Opening = { differing: [], emptyHere: [], emptyThere: [] }

/** Takes snapshots on both sides and compares the roots. Partitions that end here say so themselves. */
export function* openPartitions(
  context: SessionContext,
  partitions: readonly PartitionProgress[]
): Script<Opening> {
  const { side, options } = context
  const all = partitions.map(({ partition }) => partition)
  const offers = side.offers(all, options.peer)
  const opened = yield* beginPartitions(context, partitions)
  if (opened.length === 0) return nothingOpened
  const nowMs = yield* perform({ kind: 'now' })
  const here = opened.map(({ partition }) => partition)
  const table = { kind: 'table' as const, name: options.table, partitions: [] }
  const reply = yield* context.ask(
    {
      kind: 'open',
      nowMs,
      offers: [table, ...offersAbout(offers, here)],
      partitions: opened.map(openPartition)
    },
    'opened'
  )
  if (reply === null) {
    for (const progress of opened) context.restart(progress, 'the peer did not take the session')
    return nothingOpened
  }
  if (reply.partitions.length !== opened.length) throw new DecodeError('an opening of other length')
  context.nowMs = Math.max(nowMs, reply.nowMs)
  noteWatermarks(context)
  return sortOut(opened, reply.partitions)
}

function* beginPartitions(
  context: SessionContext,
  partitions: readonly PartitionProgress[]
): Script<PartitionProgress[]> {
  const numbers = partitions.map(({ partition }) => partition)
  const snapshots = yield* perform({ kind: 'snapshots', partitions: numbers })
  return partitions.filter((progress, i) => {
    const snapshot = snapshots[i] ?? null
    if (snapshot === null) {
      progress.end('later', 'the tree of this node is not loaded yet')
      return false
    }
    progress.begin(snapshot)
    if (progress.passes === 1) context.counters.keysCompared += snapshot.keys
    return true
  })
}

function openPartition({ partition, snapshot }: PartitionProgress) {
  const root = snapshot?.root.subarray(0, rootBytes) ?? Buffer.alloc(rootBytes)
  return { partition, snapshot: snapshot?.id ?? 0, isEmpty: snapshot?.keys === 0, root }
}

function noteWatermarks(context: SessionContext): void {
  for (const { kind, name, partitions } of context.peerOffers) {
    if (kind !== 'watermark') continue
    for (const partition of partitions) {
      const progress = context.partitions.get(partition)
      if (progress !== undefined) progress.peerWatermark = name
    }
  }
}

const unanswered: OpenAnswer = {
  status: 'notReady',
  snapshot: 0,
  keys: 0,
  children: Buffer.alloc(0)
}

function sortOut(opened: readonly PartitionProgress[], answers: readonly OpenAnswer[]): Opening {
  const differing: DifferingPartition[] = []
  const emptyHere: PartitionProgress[] = []
  const emptyThere: PartitionProgress[] = []
  for (const [i, progress] of opened.entries()) {
    const { status, snapshot, keys, children } = answers[i] ?? unanswered
    progress.peerSnapshot = snapshot
    if (status === 'equal') progress.phase = 'equal'
    else if (status === 'busy') progress.end('busy', 'the peer compares it with somebody else')
    else if (status === 'notReady') progress.end('later', 'the tree of the peer is not loaded yet')
    else if (status === 'empty') {
      progress.rowsToStream = progress.snapshot?.keys ?? 0
      emptyThere.push(progress)
    } else if (status === 'full') {
      progress.rowsToStream = keys
      emptyHere.push(progress)
    } else differing.push({ progress, children })
  }
  return { differing, emptyHere, emptyThere }
}
