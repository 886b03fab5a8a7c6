import { DecodeError } from '../../core/errors.ts'
import { perform, type Script } from './calls.ts'
import type { SessionContext } from './session-context.ts'

const setAsideMax = 1000

/**
 * Ends what was found equal: this side's rows are on disk before it speaks, the peer's before it answers, and each notes
 * the proof only once both are. So the peer's note stays true if its answer is lost, and ours is never made without one.
 * What either prepares with its rows lets it answer, from then on, for what the other may note first.
 */
export function* closePartitions(context: SessionContext): Script<void> {
  const { peer, table } = context.options
  const finished = context.inPhase('over').map(({ partition }) => partition)
  const ready = context.inPhase('equal')
  if (ready.length === 0 && context.untold.length === 0) return
  const equal = ready.map(({ partition }) => partition)
  yield* perform({ kind: 'prepareProof', note: { peer, partitions: equal, table } })
  yield* perform({ kind: 'sync' })
  const setAside = context.untold.splice(0, setAsideMax)
  const reply = yield* context.ask({ kind: 'close', table, equal, finished, setAside }, 'closed')
  if (reply === null) {
    for (const progress of ready) {
      context.restart(progress, 'the peer does not know the session any more')
    }
    return
  }
  if (reply.proven.length !== ready.length) throw new DecodeError('other partitions')
  const proven = ready.filter((_, i) => reply.proven[i])
  if (proven.length > 0) {
    const partitions = proven.map(({ partition }) => partition)
    const watermarks = context.peerOffers.filter(({ kind }) => kind === 'watermark')
    yield* perform({ kind: 'noteProof', note: { peer, partitions, table, watermarks } })
  }
  for (const progress of ready) {
    if (proven.includes(progress)) progress.end('equal', '')
    else progress.end('later', 'the peer could not note the proof')
  }
}
