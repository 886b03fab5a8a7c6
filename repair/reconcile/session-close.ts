import { DecodeError } from '../../core/errors.ts'
import { perform, type Script } from './calls.ts'
import { wideEntryBytes } from './messages.ts'
import type { PartitionProgress } from './partition-progress.ts'
import type { SessionContext } from './session-context.ts'

const setAsideMax = 1000

/**
 * Ends what is compared: this side's rows are on disk before it speaks, the peer's before it answers, and each notes
 * the proof only once both are. So the peer's note stays true if its answer is lost, and ours is never made without one.
 * A partition with repairs is called equal only if its present roots are; otherwise it begins anew.
 */
export function* closePartitions(context: SessionContext): Script<void> {
  const { options } = context
  const finished = context.inPhase('over').map(({ partition }) => partition)
  const ready = context.inPhase('equal')
  const repaired = context.inPhase('repaired')
  if (ready.length + repaired.length === 0) return
  const roots = yield* presentRoots(repaired)
  yield* perform({ kind: 'sync' })
  const setAside = context.untold.splice(0, setAsideMax)
  const equal = ready.map(({ partition }) => partition)
  const reply = yield* context.ask(
    { kind: 'close', table: options.table, equal, repaired: roots, finished, setAside },
    'closed'
  )
  if (reply === null) {
    for (const progress of [...ready, ...repaired]) {
      context.restart(progress, 'the peer does not know the session any more')
    }
    return
  }
  if (reply.proven.length !== ready.length + roots.length) throw new DecodeError('other partitions')
  const isProven = ({ partition }: PartitionProgress) => {
    const at = equal.indexOf(partition)
    const after = roots.findIndex((root) => root.partition === partition)
    return reply.proven[at >= 0 ? at : ready.length + after] === true
  }
  yield* note(context, [...ready, ...repaired].filter(isProven))
  for (const progress of ready) {
    if (progress.phase === 'equal') progress.end('later', 'the peer could not note the proof')
  }
  for (const progress of repaired) if (progress.phase === 'repaired') progress.phase = 'again'
}

function* presentRoots(
  repaired: readonly PartitionProgress[]
): Script<{ readonly partition: number; readonly root: Uint8Array }[]> {
  if (repaired.length === 0) return []
  const partitions = repaired.map(({ partition }) => partition)
  const snapshots = yield* perform({ kind: 'snapshots', partitions })
  return partitions.map((partition, i) => {
    return { partition, root: snapshots[i]?.root ?? Buffer.alloc(wideEntryBytes) }
  })
}

function* note(context: SessionContext, proven: readonly PartitionProgress[]): Script<void> {
  if (proven.length === 0) return
  const { peer, table } = context.options
  const partitions = proven.map(({ partition }) => partition)
  const watermarks = context.peerOffers.filter(({ kind }) => kind === 'watermark')
  yield* perform({ kind: 'noteProof', note: { peer, partitions, table, watermarks } })
  for (const progress of proven) progress.end('equal', '')
}
