import { equalBytes } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { partitionOf } from '../../ring/token.ts'
import { perform, type Script } from './calls.ts'
import type { RowWork } from './leaf-comparison.ts'
import { keyDigestOf, startOf } from './leaf-content.ts'
import type { PresentRoot, Want, WantsPart } from './messages.ts'
import type { PartitionProgress } from './partition-progress.ts'
import type { ShippedRow } from './range-side.ts'
import type { SessionContext } from './session-context.ts'

/** Rows of one message; a single row may be larger. */
export const rowsBytesMax = 192 * 1024
/** Wants of one message, whose rows the peer bounds by their bytes. */
const wantsMax = 1024
/** Where no more is exchanged, the answer tells whether all is equal now, which saves looking once more. */
const rowsWithRootsMax = 64

interface Wanted {
  readonly progress: PartitionProgress
  readonly want: Want
}

interface Shipping {
  readonly progress: PartitionProgress
  readonly work: RowWork
}

/** Ships what the peer lacks and fetches what this node lacks, both with the same messages. */
export function* exchangeRows(
  context: SessionContext,
  work: readonly (readonly [PartitionProgress, readonly RowWork[]])[]
): Script<void> {
  const ships: Shipping[] = []
  let wants: Wanted[] = []
  for (const [progress, rows] of work) {
    for (const row of rows) {
      if (row.ship !== null) ships.push({ progress, work: row })
      if (row.fetch.length === 0) continue
      const dots = row.fetchesAll ? null : row.fetch
      wants.push({ progress, want: { leaf: row.leaf, digestStart: startOf(row.keyDigest), dots } })
    }
  }
  context.counters.rowsToShip += ships.length + wants.length
  const wantsRoots = ships.length + wants.length <= rowsWithRootsMax
  let shipped = 0
  let inVain = 0
  while (shipped < ships.length || wants.length > 0) {
    const batch = batchFrom(ships, shipped)
    shipped += batch.length
    const asked = wants.slice(0, wantsMax)
    const answered = yield* exchangeOnce(context, batch, asked, wantsRoots)
    if (answered === null) break
    inVain = answered === 0 && batch.length === 0 ? inVain + 1 : 0
    if (inVain > 0) yield* context.awaitRows(inVain)
    wants = wants.slice(answered)
  }
  // What is left is not shipped in this pass.
  context.counters.rowsToShip -= ships.length - shipped + wants.length
}

function batchFrom(ships: readonly Shipping[], from: number): Shipping[] {
  const batch: Shipping[] = []
  let bytes = 0
  for (let i = from; i < ships.length && bytes < rowsBytesMax; i++) {
    const next = ships[i]
    if (next === undefined) break
    bytes += next.work.shipBytes
    if (batch.length > 0 && bytes > rowsBytesMax) break
    batch.push(next)
  }
  return batch
}

/** Answers with how many of the wants are done with; null where nothing more is to be exchanged. */
function* exchangeOnce(
  context: SessionContext,
  batch: readonly Shipping[],
  asked: readonly Wanted[],
  wantsRoots: boolean
): Script<number | null> {
  const wanted = batch.flatMap(({ work }) => (work.ship === null ? [] : [work.ship]))
  const read = wanted.length === 0 ? [] : yield* perform({ kind: 'read', wanted })
  const rows: ShippedRow[] = []
  const senders: PartitionProgress[] = []
  for (const [i, { progress }] of batch.entries()) {
    const row = read[i] ?? null
    // What is there no more was overwritten, and whatever overwrote it is looked at with the partition's next pass.
    if (row === null) progress.miss('rows of this node could not be read')
    else {
      rows.push(row)
      senders.push(progress)
    }
  }
  context.counters.rowsToShip -= batch.length
  if (rows.length === 0 && asked.length === 0) return 0
  const reply = yield* context.ask(
    { kind: 'exchange', wantsRoots, rows, parts: partsOf(asked) },
    'exchanged'
  )
  if (reply === null) {
    const reason = 'the peer does not know the session any more'
    for (const { progress } of [...batch, ...asked]) context.restart(progress, reason)
    return null
  }
  if (reply.outcomes.length !== rows.length) throw new DecodeError('outcomes of other rows')
  if (reply.answered > asked.length) throw new DecodeError('more answers than wants')
  const aside: Parameters<typeof setAside>[1] = []
  for (const [i, outcome] of reply.outcomes.entries()) {
    const row = rows[i]
    const progress = senders[i]
    if (row === undefined || progress === undefined) continue
    context.countSent(row, progress, outcome)
    if (outcome.kind === 'quarantined') aside.push({ key: row.key, dots: outcome.dots })
  }
  yield* setAside(context, aside)
  yield* takeIn(context, reply.rows)
  noteAnswered(context, asked.slice(0, reply.answered), reply.rows)
  yield* compareRoots(context, reply.roots)
  context.counters.rowsToShip -= reply.answered
  if (!reply.stale) return reply.answered
  for (const { progress } of asked) context.restart(progress, 'the peer speaks of another snapshot')
  return null
}

/** A want is done with also where its row did not come; then nothing says yet that there is no difference any more. */
function noteAnswered(
  context: SessionContext,
  answered: readonly Wanted[],
  rows: readonly ShippedRow[]
): void {
  const came = new Set(rows.map(({ key }) => startOf(keyDigestOf(context.options.id, key))))
  for (const { progress, want } of answered) {
    progress.isToBeLookedAt = true
    if (!came.has(want.digestStart)) progress.miss('the peer did not send rows that it told of')
  }
}

/** Both sides have taken what the other had: where the roots are equal now, there is nothing left to look at. */
function* compareRoots(context: SessionContext, theirs: readonly PresentRoot[]): Script<void> {
  const compared = theirs.flatMap(({ partition, root }) => {
    const progress = context.partitions.get(partition)
    return progress?.phase === 'comparing' ? [{ progress, root }] : []
  })
  if (compared.length === 0) return
  const partitions = compared.map(({ progress }) => progress.partition)
  const snapshots = yield* perform({ kind: 'snapshots', partitions })
  for (const [i, { progress, root }] of compared.entries()) {
    const here = snapshots[i]?.root
    if (here !== undefined && equalBytes(here, root)) progress.isToBeLookedAt = false
  }
}

function* setAside(
  context: SessionContext,
  rows: { readonly key: ShippedRow['key']; readonly dots: readonly ShippedDot[] }[]
): Script<void> {
  if (rows.length > 0 && !context.options.dryRun) yield* perform({ kind: 'setAside', rows })
}

type ShippedDot = NonNullable<Want['dots']>[number]

function partsOf(asked: readonly Wanted[]): WantsPart[] {
  const parts: (WantsPart & { wants: Want[] })[] = []
  for (const { progress, want } of asked) {
    const last = parts.at(-1)
    if (last?.partition === progress.partition) last.wants.push(want)
    else parts.push({ ...progress.ref, wants: [want] })
  }
  return parts
}

/** Rows that the peer sent: only those of partitions that are being compared are taken. */
export function* takeIn(context: SessionContext, rows: readonly ShippedRow[]): Script<void> {
  const { side } = context
  const progressOf = ({ key }: ShippedRow) =>
    context.partitions.get(partitionOf(key.token, side.partitionCount))
  const taken = rows.filter((row) => progressOf(row)?.phase === 'comparing')
  if (taken.length === 0) return
  const outcomes = yield* perform({ kind: 'receive', rows: taken })
  for (const [i, row] of taken.entries()) {
    const progress = progressOf(row)
    const outcome = outcomes[i] ?? { kind: 'refused', reason: 'no outcome' }
    if (progress === undefined) continue
    context.countReceived(row, progress, outcome)
    if (outcome.kind === 'quarantined') context.untold.push({ key: row.key, dots: outcome.dots })
  }
}
