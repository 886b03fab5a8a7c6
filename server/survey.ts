import { AnnealError } from '../core/errors.ts'
import type { Surveyed } from '../proto/frames.ts'
import type { Node } from './node.ts'
import { hintsReport } from './repair/hints-report.ts'

const uint32Max = 2 ** 32 - 1

/** What this node says of itself, and of whom it sees. Errors: `not_ready` while it is being put together. */
export function surveyOf(node: Node | null): Surveyed {
  if (node === null) throw new AnnealError('not_ready', 'this node is starting: ask again')
  const { cluster, peers, repair, arriving } = node
  const others = [...cluster.document.members.values()]
    .filter(({ id, state }) => id !== node.id && state !== 'removed')
    .map(({ id }) => id)
    .sort()
  const waiting = hintsReport(repair.hints).reduce((sum, { count }) => sum + count, 0)
  return {
    kind: 'surveyed',
    release: node.release,
    state: node.state,
    uptimeSeconds: Math.min(uint32Max, Math.floor(node.uptimeMs / 1000)),
    epoch: cluster.ring.epoch,
    up: others.filter((id) => peers.isUp(id)),
    down: others.filter((id) => !peers.isUp(id)),
    hints: Math.min(uint32Max, waiting),
    quarantined: Math.min(uint32Max, arriving.quarantine.count),
    repairHeld: repair.service.held
  }
}
