import { compareBytes } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { all, perform, type RowSetAside, type Script } from './calls.ts'
import type { PullPart, Reply } from './messages.ts'
import type { PartitionProgress } from './partition-progress.ts'
import type { RowOutcome, RowSlice, ShippedRow, SliceRequest } from './range-side.ts'
import { rowsBytesMax, takeIn } from './row-exchange.ts'
import type { SessionContext } from './session-context.ts'
import { laneCount } from './tree-descent.ts'

type Pulled = Extract<Reply, { kind: 'pulled' }>

const noOutcome: RowOutcome = { kind: 'refused', reason: 'the peer did not say' }

/** A run of leaves that is streamed in the order of its rows. */
interface Stripe {
  readonly progress: PartitionProgress
  readonly leafFrom: number
  readonly leafTo: number
}

/** Where one side holds nothing there is nothing to compare: the other's rows go over in their order. */
export function* streamRows(
  context: SessionContext,
  emptyHere: readonly PartitionProgress[],
  emptyThere: readonly PartitionProgress[]
): Script<void> {
  const pulls = stripes(context, emptyHere)
  const pushes = stripes(context, emptyThere)
  const lane = function* (): Script<void> {
    yield* pullAll(context, pulls)
    for (let next = pushes.shift(); next !== undefined; next = pushes.shift()) {
      yield* push(context, next)
    }
  }
  const streamed = [...emptyHere, ...emptyThere]
  for (const { rowsToStream } of streamed) context.counters.rowsToShip += rowsToStream
  yield* all(Array.from({ length: Math.min(laneCount, pulls.length + pushes.length) }, lane))
  for (const progress of streamed) {
    noteFewer(progress)
    expectLess(context, progress, progress.rowsToStream)
  }
}

// Tombstones that count as absent were announced, too, and so was what cannot be read: only a comparison tells which.
function noteFewer(progress: PartitionProgress): void {
  if (progress.phase !== 'comparing' || progress.rowsToStream === 0) return
  progress.isToBeLookedAt = true
  progress.streamedLess = true
}

function expectLess(context: SessionContext, progress: PartitionProgress, rows: number): void {
  const fewer = Math.min(rows, progress.rowsToStream)
  progress.rowsToStream -= fewer
  context.counters.rowsToShip -= fewer
}

// A few large partitions are cut, so that all lanes have something to do.
function stripes(context: SessionContext, partitions: readonly PartitionProgress[]): Stripe[] {
  const { leafCount } = context.side
  const count = partitions.length >= 2 * laneCount ? 1 : laneCount
  const width = leafCount / count
  return partitions.flatMap((progress) =>
    Array.from({ length: count }, (_, i) => ({
      progress,
      leafFrom: Math.floor(i * width),
      leafTo: Math.floor((i + 1) * width)
    }))
  )
}

/** Takes rows in while the next ones are under way. */
function* pullAll(context: SessionContext, stripes: Stripe[]): Script<void> {
  const reader: Reader = { stripes, place: null }
  let arrived = yield* pullNext(context, reader)
  while (arrived !== null) {
    const next: { arrived: Arrived } = { arrived: null }
    const read = function* (): Script<void> {
      next.arrived = yield* pullNext(context, reader)
    }
    yield* all([takeIn(context, arrived), read()])
    arrived = next.arrived
  }
}

type Arrived = readonly ShippedRow[] | null

/** Where a stripe goes on. */
interface Place {
  readonly stripe: Stripe
  readonly from: Buffer | null
  /** How often in a row the peer has answered with nothing here. */
  readonly inVain: number
}

interface Reader {
  readonly stripes: Stripe[]
  place: Place | null
}

/** The next rows of the stripe that was begun, or else of the next one; null where none is left. */
function* pullNext(context: SessionContext, reader: Reader): Script<Arrived> {
  for (;;) {
    const begun = reader.place ?? beginning(reader.stripes.shift())
    if (begun === null) return null
    const { rows, next } = yield* pull(context, begun)
    reader.place = next
    if (rows.length > 0) return rows
  }
}

function beginning(stripe: Stripe | undefined): Place | null {
  return stripe === undefined ? null : { stripe, from: null, inVain: 0 }
}

interface PulledRows {
  readonly rows: readonly ShippedRow[]
  /** Null at the end of the stripe. */
  readonly next: Place | null
}

const nothingPulled: PulledRows = { rows: [], next: null }

function* pull(context: SessionContext, place: Place): Script<PulledRows> {
  const { stripe, from, inVain } = place
  const { progress, leafFrom, leafTo } = stripe
  if (inVain > 0) yield* context.awaitRows(inVain)
  if (progress.phase !== 'comparing') return nothingPulled
  const part: PullPart = { ...progress.ref, leafFrom, leafTo, from, bytesMax: rowsBytesMax }
  const reply: Pulled | null = yield* context.ask({ kind: 'pull', part }, 'pulled')
  if (reply === null || reply.stale) {
    context.restart(progress, 'the peer speaks of another snapshot')
    return nothingPulled
  }
  const { rows } = reply
  count(context, progress, rows)
  if (reply.wait) return { rows, next: { ...place, inVain: inVain + 1 } }
  const next = placeAfter(from, reply.next)
  return { rows, next: next === null ? null : { stripe, from: next, inVain: 0 } }
}

/** Where the peer says to go on. Errors: DecodeError where that leads nowhere. */
function placeAfter(from: Buffer | null, next: Buffer | null): Buffer | null {
  if (from === null || next === null || compareBytes(next, from) > 0) return next
  throw new DecodeError('rows that go on where they have been')
}

function* push(context: SessionContext, { progress, leafFrom, leafTo }: Stripe): Script<void> {
  let from: Buffer | null = null
  do {
    if (progress.phase !== 'comparing') return
    const { partition } = progress
    const absence = progress.absence(context.nowMs)
    const bytesMax = rowsBytesMax
    const request: SliceRequest = { partition, leafFrom, leafTo, from, bytesMax, absence }
    const slice: RowSlice = yield* perform({ kind: 'slice', request })
    from = slice.next
    if (slice.rows.length === 0) continue
    count(context, progress, slice.rows)
    const reply = yield* context.ask(
      { kind: 'exchange', wantsRoots: false, rows: slice.rows, parts: [] },
      'exchanged'
    )
    if (reply === null) {
      return context.restart(progress, 'the peer does not know the session any more')
    }
    const aside: RowSetAside[] = []
    for (const [i, row] of slice.rows.entries()) {
      const outcome = reply.outcomes[i] ?? noOutcome
      context.countSent(row, progress, outcome)
      if (outcome.kind === 'quarantined') aside.push({ key: row.key, dots: outcome.dots })
    }
    if (aside.length > 0) yield* perform({ kind: 'setAside', rows: aside })
  } while (from !== null)
}

function count(
  context: SessionContext,
  progress: PartitionProgress,
  rows: readonly ShippedRow[]
): void {
  expectLess(context, progress, rows.length)
  for (const _ of rows) if (progress.countDifference()) context.counters.differences++
}
