import { assert } from '../core/assert.ts'
import { ByteWriter, equalBytes } from '../core/bytes.ts'
import { AnnealError } from '../core/errors.ts'
import { hash128 } from '../core/hash.ts'
import {
  type Actor,
  addDot,
  addVector,
  compareDots,
  covers,
  type Dot,
  encodeDot,
  formatDot,
  type VersionVector
} from './version-vector.ts'

export type ConflictMode = 'siblings' | 'lww'

/** Names in lower case, ordered by name, each name once. */
export type Meta = readonly (readonly [name: string, value: string])[]

/** Milliseconds since 1970 beyond which there are no dates: no version is that late. */
export const timeMsMax = 8.64e15

/** What a writer said, and when. A tombstone has no content type, no meta and no value. */
export interface Payload {
  readonly tombstone: boolean
  readonly contentType: string
  readonly meta: Meta
  /** Milliseconds since 1970, later than the time of everything that the writer had seen. */
  readonly timeMs: number
  /** 0: never. */
  readonly expiresAtMs: number
  /** Bytes of the value. */
  readonly size: number
  /** Null where the value is kept in a row of its own and was not read, and for tombstones. */
  readonly value: Uint8Array | null
}

/** One write as a replica holds it. Immutable; the same dot means the same payload, for ever and everywhere. */
export interface Version extends Payload {
  readonly dot: Dot
  /** What its writer had seen. */
  readonly past: VersionVector
  /** 16 bytes over dot and payload, computed once, by the coordinator that minted the dot. */
  readonly contentHash: Uint8Array
}

/** What a replica holds for a key: versions ordered by dot, none covered by the past of another. */
export type Versions = readonly Version[]

export function hashContent(dot: Dot, payload: Payload): Uint8Array {
  const writer = new ByteWriter(64 + payload.contentType.length)
  encodeDot(writer, dot)
  writer
    .uint8(payload.tombstone ? 1 : 0)
    .varint(payload.timeMs)
    .varint(payload.expiresAtMs)
  writer.string(payload.contentType).varint(payload.meta.length)
  for (const [name, value] of payload.meta) writer.string(name).string(value)
  writer.varint(payload.size)
  if (payload.value === null) {
    assert(payload.size === 0, 'the content of a version is hashed with its value at hand')
    return hash128(writer.finish())
  }
  return hash128(writer.finish(), payload.value)
}

/** 16 bytes that are equal exactly where two replicas hold the same versions. Pasts do not take part. */
export function hashObject(versions: Versions): Uint8Array {
  const [first] = versions
  if (first !== undefined && versions.length === 1) return first.contentHash
  return hash128(...versions.map((version) => version.contentHash))
}

/**
 * The union by dot, less every version whose dot is covered by the past of another (dotted version vectors, Preguiça
 * et al. 2010). Commutative, associative, idempotent.
 *
 * Errors: AnnealError `internal` where one dot comes with two payloads, which no correct node can produce.
 */
export function merge(a: Versions, b: Versions, mode: ConflictMode): Versions {
  if (b.length === 0) return mode === 'lww' ? greatest(a) : a
  if (a.length === 0) return mode === 'lww' ? greatest(b) : b
  const union = unionByDot(a, b)
  if (mode === 'lww') return greatest(union)
  if (union.length > comparedEachMax) return notSeen(union)
  return union.filter(
    (version) => !union.some((other) => other !== version && covers(other.past, version.dot))
  )
}

/** Of so few versions each is compared with each, which is faster. */
const comparedEachMax = 16

/** What the pasts of some versions say of one actor. */
interface Seen {
  counter: number
  by: Version
  /** The greatest counter in the past of any other. */
  byOthers: number
}

/** The versions whose dots no past of another covers. However many they are, each past is gone through once. */
function notSeen(versions: Versions): Versions {
  const seen = new Map<Actor, Seen>()
  for (const version of versions) {
    for (const [actor, counter] of version.past) {
      const known = seen.get(actor)
      if (known === undefined) seen.set(actor, { counter, by: version, byOthers: 0 })
      else if (counter > known.counter) {
        seen.set(actor, { counter, by: version, byOthers: known.counter })
      } else if (counter > known.byOthers) known.byOthers = counter
    }
  }
  return versions.filter((version) => {
    const known = seen.get(version.dot.actor)
    if (known === undefined) return true
    return (known.by === version ? known.byOthers : known.counter) < version.dot.counter
  })
}

/**
 * In an `lww` bucket only the greatest (time, dot) is kept. A version's time is above the time of everything that its
 * writer had seen, so this order contains the causal one, and keeping a maximum needs no pasts to be associative.
 */
function greatest(versions: Versions): Versions {
  if (versions.length < 2) return versions
  return [versions.reduce((a, b) => (isLater(b, a) ? b : a))]
}

function isLater(a: Version, b: Version): boolean {
  return a.timeMs !== b.timeMs ? a.timeMs > b.timeMs : compareDots(a.dot, b.dot) > 0
}

function unionByDot(a: Versions, b: Versions): Version[] {
  const union: Version[] = []
  let i = 0
  let j = 0
  while (true) {
    const left = a[i]
    const right = b[j]
    if (left === undefined) return union.concat(b.slice(j))
    if (right === undefined) return union.concat(a.slice(i))
    const order = compareDots(left.dot, right.dot)
    if (order === 0) union.push(sameVersion(left, right))
    else union.push(order < 0 ? left : right)
    if (order <= 0) i++
    if (order >= 0) j++
  }
}

function sameVersion(a: Version, b: Version): Version {
  if (!equalBytes(a.contentHash, b.contentHash)) {
    throw new AnnealError('internal', `dot ${formatDot(a.dot)} stands for two different payloads`)
  }
  return a.value === null && b.value !== null ? b : a
}

/** The join of the pasts and dots of what somebody is shown: what that somebody may overwrite from now on. */
export function contextOf(versions: Versions): Map<Actor, number> {
  const context = new Map<Actor, number>()
  for (const version of versions) addVersion(context, version)
  return context
}

/** The version itself, and all that its writer had seen. */
export function addVersion(context: Map<Actor, number>, version: Version): void {
  addVector(context, version.past)
  addDot(context, version.dot)
}

export function latestTimeOf(versions: Versions): number {
  let latest = 0
  for (const version of versions) if (version.timeMs > latest) latest = version.timeMs
  return latest
}

/** Neither a tombstone nor expired, which counts as one. */
export function isLive(version: Version, nowMs: number): boolean {
  return !version.tombstone && (version.expiresAtMs === 0 || version.expiresAtMs > nowMs)
}

export function sameVersions(a: Versions, b: Versions): boolean {
  return (
    a.length === b.length &&
    a.every((version, i) => {
      const other = b[i]
      return other !== undefined && compareDots(version.dot, other.dot) === 0
    })
  )
}
