import { DecodeError } from '../../core/errors.ts'
import { all, perform, type Script } from './calls.ts'
import { type ComparedLeaf, type RowWork, workOf } from './leaf-comparison.ts'
import { comparedRows, hiddenRows, packEntries } from './leaf-content.ts'
import { entryBytes, type LeafReply, wideEntryBytes } from './messages.ts'
import type { PartitionProgress } from './partition-progress.ts'
import { exchangeRows } from './row-exchange.ts'
import type { SessionContext } from './session-context.ts'
import { type LeafSet, laneCount } from './tree-descent.ts'

/** Rows that are listed, compared and exchanged at a time, by estimate: what one step may take of a turn. */
const chunkRowsMax = 1024
const chunkLeavesMax = 256

/** What a look at the leaves leaves for another one. */
interface NextLook {
  /** With differences too young to act on. */
  readonly young: LeafSet
  /** In which no difference was found, though the trees differ. */
  readonly alike: LeafSet
  waitMs: number
}

/**
 * Lists the leaves on both sides, finds the rows that differ and exchanges what is lacking. A difference that is
 * younger than the time in which a write spreads is looked at again before it is acted on; a leaf without a difference
 * is compared by whole digests before it is taken for equal.
 */
export function* repairLeaves(context: SessionContext, leaves: LeafSet): Script<void> {
  for (const [, numbers] of leaves) context.counters.leavesToCompare += numbers.length
  const first = newLook()
  yield* look(context, leaves, { width: entryBytes, next: first, isLast: false })
  const second = newLook()
  yield* look(context, first.alike, { width: wideEntryBytes, next: second, isLast: false })
  for (const [progress, numbers] of second.young)
    for (const n of numbers) add(first.young, progress, n)
  if (first.young.size === 0) return
  yield* perform({ kind: 'wait', delayMs: Math.max(first.waitMs, second.waitMs) })
  yield* look(context, first.young, { width: entryBytes, next: newLook(), isLast: true })
}

// Above the numbers that are to be proven a difference does no harm: the next session finds it, if it is still there.
function noteHot(context: SessionContext, progress: PartitionProgress, { dots }: RowWork): void {
  const { side, options } = context
  if (dots.some((dot) => side.isReported(options.table, progress.partition, dot))) {
    progress.obstacle = 'rows that should be everywhere are being written just now'
  }
}

function newLook(): NextLook {
  return { young: new Map(), alike: new Map(), waitMs: 0 }
}

function add(leaves: LeafSet, progress: PartitionProgress, leaf: number): void {
  const numbers = leaves.get(progress)
  if (numbers === undefined) leaves.set(progress, [leaf])
  else if (numbers.at(-1) !== leaf) numbers.push(leaf)
}

function* look(context: SessionContext, leaves: LeafSet, rules: LookRules): Script<void> {
  for (const numbers of leaves.values()) numbers.sort((a, b) => a - b)
  const chunks = cut(context, leaves)
  const lane = function* (): Script<void> {
    for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
      yield* lookAtChunk(context, chunk, rules)
    }
  }
  yield* all(Array.from({ length: Math.min(laneCount, chunks.length) }, lane))
}

interface Part {
  readonly progress: PartitionProgress
  readonly leaves: number[]
}

function cut(context: SessionContext, leaves: LeafSet): Part[][] {
  const chunks: Part[][] = []
  let rows = chunkRowsMax
  let count = chunkLeavesMax
  for (const [progress, numbers] of leaves) {
    const rowsEach = Math.max(1, progress.keys / context.side.leafCount)
    for (const leaf of numbers) {
      if (rows >= chunkRowsMax || count >= chunkLeavesMax) {
        chunks.push([])
        rows = 0
        count = 0
      }
      rows += rowsEach
      count++
      const chunk = chunks.at(-1) ?? []
      const part = chunk.at(-1)
      if (part?.progress === progress) part.leaves.push(leaf)
      else chunk.push({ progress, leaves: [leaf] })
    }
  }
  return chunks
}

function* lookAtChunk(
  context: SessionContext,
  chunk: readonly Part[],
  rules: LookRules
): Script<void> {
  const { width } = rules
  const parts = chunk.filter(({ progress }) => progress.phase === 'comparing')
  if (parts.length === 0) return
  // What was written while the leaves were listed, there later than here, is no difference yet.
  const nowMs = yield* perform({ kind: 'now' })
  const listed = yield* list(context, parts)
  const reply = yield* context.ask(
    {
      kind: 'leaves',
      width,
      parts: parts.map(({ progress }, i) => ({
        ...progress.ref,
        leaves: (listed[i] ?? []).map(({ leaf, rows }) => ({
          leaf,
          entries: packEntries(rows, width)
        }))
      }))
    },
    'compared'
  )
  const work: [PartitionProgress, RowWork[]][] = []
  for (const [i, { progress }] of parts.entries()) {
    const answer = reply?.parts[i] ?? null
    const leaves = listed[i] ?? []
    yield* perform({ kind: 'turn' })
    context.counters.leavesCompared += leaves.length
    context.counters.leavesToCompare = Math.max(0, context.counters.leavesToCompare - leaves.length)
    if (answer === null) context.restart(progress, 'the peer speaks of another snapshot')
    else work.push([progress, judge(context, progress, leaves, answer, rules, nowMs)])
  }
  if (!context.options.dryRun) yield* exchangeRows(context, work)
}

function* list(context: SessionContext, parts: readonly Part[]): Script<ComparedLeaf[][]> {
  const wanted = parts.map(({ progress, leaves }) => ({ partition: progress.partition, leaves }))
  const listings = yield* perform({ kind: 'list', wanted })
  let at = 0
  return parts.map(({ progress, leaves }) =>
    leaves.map((leaf) => {
      const listing = listings[at++] ?? { partition: progress.partition, leaf, entries: [] }
      const rows = comparedRows(context.side, listing, progress.absence(context.nowMs))
      return { leaf, rows, hidden: hiddenRows(context.options.id, listing, rows) }
    })
  )
}

interface LookRules {
  readonly width: number
  readonly next: NextLook
  /** What is too young now is left to the next session. */
  readonly isLast: boolean
}

/** What is to be exchanged now. Differences that are left alone are noted with the partition. */
function judge(
  context: SessionContext,
  progress: PartitionProgress,
  leaves: readonly ComparedLeaf[],
  replies: readonly LeafReply[],
  { width, next, isLast }: LookRules,
  nowMs: number
): RowWork[] {
  if (replies.length !== leaves.length) throw new DecodeError('an answer about other leaves')
  const { side, options } = context
  const rules = {
    side,
    session: options.id,
    absence: progress.absence(context.nowMs),
    nowMs,
    youngMs: options.youngMs
  }
  const now: RowWork[] = []
  for (const [i, listed] of leaves.entries()) {
    const { leaf } = listed
    const reply = replies[i] ?? { lacking: [], rows: [] }
    const found = workOf(listed, reply, rules)
    const isAlike = reply.lacking.length + reply.rows.length === 0
    if (isAlike && width === entryBytes) add(next.alike, progress, leaf)
    if (!isAlike && found.length === 0 && listed.hidden.size === 0) {
      progress.obstacle = 'rows differ of which neither side lacks a version'
    }
    for (const row of found) {
      if (row.youngMs > 0) {
        add(next.young, progress, leaf)
        next.waitMs = Math.max(next.waitMs, row.youngMs)
        if (isLast) noteHot(context, progress, row)
        continue
      }
      if (progress.countDifference()) context.counters.differences++
      now.push(row)
    }
  }
  return now
}
