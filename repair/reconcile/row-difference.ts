import type { Version, Versions } from '../../storage/version.ts'
import { compareDots, covers, type Dot } from '../../storage/version-vector.ts'
import type { Header } from './messages.ts'

/** The versions that each side lacks: not held there, and not covered by the past of what is held there. */
export interface RowDifference {
  readonly ship: readonly Dot[]
  readonly fetch: readonly Dot[]
}

/**
 * What two replicas must exchange so that both hold the merge of the two, and nothing beyond. In a bucket that keeps
 * the latest only the latest of all counts, as in `merge`.
 */
export function differenceOf(
  ours: Versions,
  theirs: readonly Header[],
  latestOnly: boolean
): RowDifference {
  if (latestOnly && theirs.every(({ timeMs }) => timeMs !== null)) {
    return latestDifference(ours, theirs)
  }
  return { ship: lackedBy(theirs, ours), fetch: lackedBy(ours, theirs) }
}

interface Known {
  readonly dot: Dot
  readonly past: ReadonlyMap<string, number>
}

function lackedBy(side: readonly Known[], others: readonly Known[]): Dot[] {
  const lacked: Dot[] = []
  for (const { dot } of others) {
    const known = side.some((held) => compareDots(held.dot, dot) === 0 || covers(held.past, dot))
    if (!known) lacked.push(dot)
  }
  return lacked
}

/**
 * Those of `hidden`, versions that count as absent in a comparison, that have overwritten what the other side still
 * shows: they go over all the same, since nothing else would make the other side let go of it.
 */
export function buriersOf(
  hidden: Versions,
  shown: readonly Header[],
  latestOnly: boolean
): readonly Dot[] {
  const buries = (version: Version) =>
    shown.some(({ dot, timeMs }) => {
      if (compareDots(version.dot, dot) === 0) return false
      return covers(version.past, dot) || (latestOnly && isLater(version, { dot, timeMs }))
    })
  return hidden.filter(buries).map(({ dot }) => dot)
}

interface Timed {
  readonly dot: Dot
  readonly timeMs: number | null
}

function latestDifference(ours: readonly Timed[], theirs: readonly Timed[]): RowDifference {
  const mine = latest(ours)
  const other = latest(theirs)
  if (mine === null && other === null) return { ship: [], fetch: [] }
  if (mine === null || other === null || compareDots(mine.dot, other.dot) !== 0) {
    const isMine = other === null || (mine !== null && isLater(mine, other))
    if (isMine && mine !== null) return { ship: [mine.dot], fetch: [] }
    return { ship: [], fetch: other === null ? [] : [other.dot] }
  }
  // Whoever still holds older ones, from before the bucket kept the latest only, lets go of them when the latest comes.
  return { ship: theirs.length > 1 ? [mine.dot] : [], fetch: ours.length > 1 ? [other.dot] : [] }
}

function latest(versions: readonly Timed[]): Timed | null {
  let found: Timed | null = null
  for (const version of versions) if (found === null || isLater(version, found)) found = version
  return found
}

function isLater(a: Timed, b: Timed): boolean {
  const aMs = a.timeMs ?? 0
  const bMs = b.timeMs ?? 0
  return aMs !== bMs ? aMs > bMs : compareDots(a.dot, b.dot) > 0
}
