import { AnnealError } from '../../core/errors.ts'
import type { PartitionOutcome, SessionCounters, SessionOutcome } from '../session-outcome.ts'
import { all, perform, type Script } from './calls.ts'
import { repairLeaves } from './leaf-repair.ts'
import type { PartitionProgress } from './partition-progress.ts'
import { streamRows } from './row-stream.ts'
import { type Effect, type Outcome, ScriptMachine } from './script.ts'
import { closePartitions } from './session-close.ts'
import { SessionContext, type SessionOptions } from './session-context.ts'
import { openPartitions } from './session-opening.ts'
import { allLeaves, descend } from './tree-descent.ts'

/** The first look, one at what was repaired, and three more for partitions that changed on the way. */
const passesMax = 5

/**
 * The side that began an exchange with one peer over all partitions that the two share, as a machine: outcomes of
 * effects in, effects out. One message of roots; then descent into what differs, all partitions at once and two levels a
 * round trip; then the leaves' entries, the headers of what differs, and exactly the versions that either side lacks.
 */
export class ReconcileSession {
  readonly #context: SessionContext
  readonly #machine: ScriptMachine<void>
  #cancelled = false

  constructor(options: SessionOptions) {
    this.#context = new SessionContext(options)
    this.#machine = new ScriptMachine(runSession(this.#context))
  }

  get counters(): SessionCounters {
    return { ...this.#context.counters }
  }

  start(): readonly Effect[] {
    return this.#machine.start()
  }

  /** Tells what came of an effect. Outcomes that come twice, or after the end, are ignored. */
  step(id: number, outcome: Outcome): readonly Effect[] {
    return this.#machine.resume(id, outcome)
  }

  /** Ends the session: it has no further effects. What it has shipped by now stays. */
  cancel(reason: string): void {
    if (this.#machine.ending !== null) return
    this.#cancelled = true
    this.#machine.stop(new AnnealError('internal', reason))
  }

  /** Null while it runs. */
  get outcome(): SessionOutcome | null {
    const { ending } = this.#machine
    if (ending === null) return null
    const { counters } = this
    const recomputed = [...this.#context.recomputed]
    const partitions = new Map<number, PartitionOutcome>()
    for (const [partition, progress] of this.#context.partitions) {
      partitions.set(partition, progress.outcomeAfter(counters.roundTrips))
    }
    if (ending.kind === 'returned') {
      const outcomes = [...partitions.values()]
      const isBusy = outcomes.length > 0 && outcomes.every(({ verdict }) => verdict === 'busy')
      const reason = isBusy ? 'the peer compares these partitions with somebody else' : ''
      return { end: isBusy ? 'busy' : 'done', reason, partitions, recomputed, counters }
    }
    const { message } = AnnealError.from(ending.error)
    const end = this.#cancelled ? 'cancelled' : 'failed'
    return { end, reason: message, partitions, recomputed, counters }
  }
}

function* runSession(context: SessionContext): Script<void> {
  yield* recompute(context)
  for (;;) {
    const due = context.inPhase('waiting', 'again')
    const begun = due.filter(({ passes }) => passes < passesMax)
    for (const progress of due) if (progress.passes >= passesMax) giveUp(progress)
    if (begun.length === 0) break
    yield* runPass(context, begun)
  }
  // The peer gives its locks back by itself once everything is proven; otherwise it is told.
  const isProven = [...context.partitions.values()].every(({ verdict }) => verdict === 'equal')
  if (!isProven || context.options.dryRun) yield* context.ask({ kind: 'bye' }, 'kept')
}

function giveUp(progress: PartitionProgress): void {
  if (progress.missing === '') progress.end('later', giveUpReason(progress))
  else progress.end('differs', progress.missing)
}

function giveUpReason({ passes, reason }: PartitionProgress): string {
  const cause = reason === '' ? 'it kept changing' : reason
  return `left for the next session after ${passes} attempts: ${cause}`
}

function* recompute(context: SessionContext): Script<void> {
  for (const partition of context.options.recompute) {
    if (!context.partitions.has(partition)) continue
    const partitions = [partition]
    let isDoneThere = false
    const here = function* (): Script<void> {
      yield* perform({ kind: 'verify', partitions })
    }
    const there = function* (): Script<void> {
      const reply = yield* context.ask({ kind: 'verify', partitions }, 'verified')
      isDoneThere = reply !== null
    }
    yield* all([here(), there()])
    if (isDoneThere) context.recomputed.push(partition)
  }
}

/** From the roots to the proof. */
function* runPass(context: SessionContext, begun: readonly PartitionProgress[]): Script<void> {
  const { dryRun } = context.options
  const { differing, emptyHere, emptyThere } = yield* openPartitions(context, begun)
  const leaves = yield* descend(context, differing)
  const isStreamed = ({ streamedLess }: PartitionProgress) => !dryRun && !streamedLess
  const isCompared = (progress: PartitionProgress) => !isStreamed(progress)
  const compared = [...emptyHere, ...emptyThere].filter(isCompared)
  for (const [progress, numbers] of allLeaves(context, compared)) leaves.set(progress, numbers)
  yield* repairLeaves(context, leaves)
  yield* streamRows(context, emptyHere.filter(isStreamed), emptyThere.filter(isStreamed))
  for (const progress of begun) if (progress.phase === 'comparing') conclude(progress, dryRun)
  if (dryRun) {
    for (const progress of context.inPhase('equal')) progress.end('equal', '')
    return
  }
  // What was repaired is looked at once more, and all proofs are noted together. Only what was set aside here must be told
  // before: the peer would ship it again.
  const isLookedAtAgain = context.inPhase('again').some(({ passes }) => passes < passesMax)
  if (!isLookedAtAgain || context.untold.length > 0) yield* closePartitions(context)
}

function conclude(progress: PartitionProgress, dryRun: boolean): void {
  if (progress.obstacle !== '') progress.end('differs', progress.obstacle)
  else if (dryRun && progress.differences > 0) progress.end('differs', 'a dry run ships nothing')
  else progress.phase = progress.isToBeLookedAt ? 'again' : 'equal'
}
