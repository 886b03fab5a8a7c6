import { type ConflictMode, isLive, type Version, type Versions } from '../storage/version.ts'
import { compareDots, covers, type Dot, formatDot } from '../storage/version-vector.ts'
import { coversVersion, isAtOrBelow, type WatermarkVector } from './watermark-vector.ts'

/**
 * What another replica says of a version that came up again. `claims`: it holds it, but cannot answer for all that the
 * asking node knows to be proven, so that its disk may be an old copy.
 */
export type Opinion = 'has' | 'claims' | 'lacks' | 'unknown'

/** What one replica says of some versions, in their order. */
export interface Opinions {
  readonly opinions: readonly Opinion[]
  /** All that it can answer for. */
  readonly floor: WatermarkVector
}

/** `take`: it was lost here. `quarantine`: it was overwritten or deleted, and everybody knew. `refuse`: not known yet. */
export type Conclusion = 'take' | 'quarantine' | 'refuse'

/** By `formatDot` of the version. */
export type Conclusions = ReadonlyMap<string, Conclusion>

export const noConclusions: Conclusions = new Map()

export interface ArrivalRules {
  readonly mode: ConflictMode
  readonly watermark: WatermarkVector
  /** Tells tombstones and expired versions from live ones. */
  readonly nowMs: number
}

export type Arrival =
  | { readonly kind: 'take'; readonly versions: Versions; readonly quarantined: Versions }
  | { readonly kind: 'consult'; readonly suspects: Versions }
  | { readonly kind: 'refuse'; readonly suspects: Versions }

const nothing: Versions = []

/**
 * Whether what arrives may be merged into what is held. A version at or below the watermark was here once. If neither it
 * nor anything that overwrote it is here now, it was either lost or rightly let go, and absence alone does not tell
 * which: the other replicas are consulted, and `conclusions` is what came of it. An object is taken whole or not at all,
 * because its pasts would claim the part that was left out.
 */
export function judgeArrival(
  held: Versions,
  arriving: Versions,
  rules: ArrivalRules,
  conclusions: Conclusions = noConclusions
): Arrival {
  const { watermark } = rules
  if (watermark.size === 0 || !arriving.some(({ dot }) => isAtOrBelow(watermark, dot))) {
    return { kind: 'take', versions: arriving, quarantined: nothing }
  }
  const versions: Version[] = []
  const quarantined: Version[] = []
  const suspects: Version[] = []
  let refused = false
  for (const version of arriving) {
    const { dot } = version
    const isNew = !isAtOrBelow(watermark, dot) || isKnown(held, version, rules.mode)
    const conclusion = isNew ? 'take' : conclusions.get(formatDot(dot))
    if (conclusion === 'take') versions.push(version)
    else if (isSpent(held, version, rules)) continue
    else if (conclusion === 'quarantine') quarantined.push(version)
    else suspects.push(version)
    refused ||= conclusion === 'refuse'
  }
  if (refused) return { kind: 'refuse', suspects }
  if (suspects.length > 0) return { kind: 'consult', suspects }
  return { kind: 'take', versions, quarantined }
}

/** Held, or overwritten by what is held. Where the latest write wins, a later one has overwritten all earlier ones. */
export function isKnown(held: Versions, version: Version, mode: ConflictMode): boolean {
  return held.some((other) => {
    if (compareDots(other.dot, version.dot) === 0 || covers(other.past, version.dot)) return true
    return mode === 'lww' && isLater(other, version)
  })
}

function isLater(a: Version, b: Version): boolean {
  return a.timeMs !== b.timeMs ? a.timeMs > b.timeMs : compareDots(a.dot, b.dot) > 0
}

/**
 * A tombstone that would be collected as soon as it was taken, and that buries nothing here: a repeated or late delete,
 * which is no resurrection and not worth asking anybody about.
 */
function isSpent(
  held: Versions,
  version: Version,
  { mode, watermark, nowMs }: ArrivalRules
): boolean {
  if (isLive(version, nowMs) || !coversVersion(watermark, version)) return false
  return mode === 'lww' ? held.length === 0 : !held.some(({ dot }) => covers(version.past, dot))
}

/**
 * What this replica says when it is consulted. `behind`: it has an old copy of its disk, or a new one, so that what it
 * lacks proves nothing; what it holds it says, and the other side sees that it cannot answer for it.
 */
export function opinionOn(
  dot: Dot,
  held: Versions,
  watermark: WatermarkVector,
  behind: boolean
): Opinion {
  if (held.some((version) => compareDots(version.dot, dot) === 0)) return 'has'
  return !behind && isAtOrBelow(watermark, dot) ? 'lacks' : 'unknown'
}

/**
 * Of the opinions of all replicas but the receiver and the sender, and, where that is a replica, what the sender says
 * itself. With nobody to ask nothing is concluded: otherwise one lost row would take the other copies with it. What all
 * others claim is taken though none can answer for it: two old disks would have to have come back at once.
 */
export function conclude(opinions: readonly Opinion[], sender: Opinion | null = null): Conclusion {
  if (opinions.includes('has')) return 'take'
  if (opinions.length === 0) return concludeAlone(sender)
  if (opinions.every((opinion) => opinion === 'lacks')) return 'quarantine'
  const isHeldBySender = sender === null || sender === 'has' || sender === 'claims'
  const allClaim = opinions.every((opinion) => opinion === 'claims')
  return allClaim && isHeldBySender ? 'take' : 'refuse'
}

/** There is only the sender besides: either it can answer for what it holds, or it has come back with an old disk. */
function concludeAlone(sender: Opinion | null): Conclusion {
  if (sender === 'has') return 'take'
  return sender === 'claims' ? 'quarantine' : 'refuse'
}
