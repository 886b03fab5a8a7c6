import { AnnealError } from '../core/errors.ts'
import { contextEntriesMax, vectorEntriesMax } from '../core/limits.ts'
import type { ObjectKey } from './keys.ts'
import type { Minter } from './minter.ts'
import {
  addVersion,
  type ConflictMode,
  contextOf,
  hashContent,
  isLive,
  latestTimeOf,
  type Meta,
  merge,
  type Payload,
  timeMsMax,
  type Version,
  type Versions
} from './version.ts'
import { type Actor, addDot, addVector, descends, type VersionVector } from './version-vector.ts'

/** A client's write, as the coordinator meets it. */
export interface Write {
  /** Null: a tombstone, which has no content type, meta or expiry whatever is said here. */
  readonly value: Uint8Array | null
  readonly contentType: string
  readonly meta: Meta
  /** 0: never expires. */
  readonly ttlMs: number
  /** What the writer had seen, and the latest time among it. */
  readonly context: VersionVector
  readonly contextTimeMs: number
  /** A delete without a context covers all that the coordinator holds. */
  readonly coversAllHeld: boolean
}

export interface Coordinated {
  readonly versions: Versions
  readonly mintActor: Actor
  /** The version that was minted. */
  readonly version: Version
  /** What the writer has seen from now on: its context, and its own write. */
  readonly context: VersionVector
  readonly contextTimeMs: number
}

/** What the coordinator holds for the key: its row, or nothing. */
export interface Held {
  readonly versions: Versions
  readonly mintActor: Actor | null
}

export interface CoordinateRules {
  readonly mode: ConflictMode
  readonly siblingsMax: number
  /** Of all values together. */
  readonly objectBytesMax: number
  readonly nowMs: number
}

const howToSettle = 'read it, merge the values, and write the result with the context of that read'
const nothing: Held = { versions: [], mintActor: null }

/**
 * Mints a version and merges it into what this node holds. It is the merged object that goes to the other replicas, not
 * the new version alone: whoever sees this actor at the new counter should have all below it as well.
 *
 * What is dead here, tombstones and what has expired, gives way to every write: nobody is shown it, so no reader could
 * settle it, and what it has overwritten stays so by the past of the new version. A row thus grows by live siblings only.
 *
 * Errors: `too_many_siblings`, and nothing has changed but a counter that stays unused.
 */
export function coordinate(
  key: ObjectKey,
  held: Held | null,
  write: Write,
  minter: Minter,
  rules: CoordinateRules
): Coordinated {
  const { versions, mintActor } = held ?? nothing
  const rowContext = contextOf(versions)
  const past = new Map<Actor, number>(write.context)
  if (write.coversAllHeld) addVector(past, rowContext)
  else addDead(past, versions, rules.nowMs)
  if (minter.isAheadOfMe(past) || minter.isAheadOfMe(rowContext)) minter.renew()

  const dot = minter.mint(key, mintActor, rowContext, past)
  const latestTimeMs = Math.max(write.contextTimeMs, latestTimeOf(versions))
  const timeMs = Math.max(rules.nowMs, latestTimeMs + 1)
  const payload = payloadOf(write, timeMs)
  if (Math.max(timeMs, payload.expiresAtMs) > timeMsMax) {
    throw new AnnealError(
      'bad_request',
      'the time of the write, or its expiry, is beyond all dates'
    )
  }
  const version: Version = { ...payload, dot, past, contentHash: hashContent(dot, payload) }

  const merged = merge(versions, [version], rules.mode)
  if (merged.length > rules.siblingsMax && merged.length > versions.length) {
    throw new AnnealError(
      'too_many_siblings',
      `the key has ${versions.length} siblings and may have ${rules.siblingsMax}: ${howToSettle}`,
      { siblings: versions.length, siblingsMax: rules.siblingsMax }
    )
  }
  checkBytes(versions, merged, rules.objectBytesMax)
  checkContext(rowContext, version, merged)
  minter.noteOnRow(key, dot)
  const context = new Map(past)
  addDot(context, dot)
  const contextTimeMs = Math.max(write.contextTimeMs, timeMs)
  return { versions: merged, mintActor: dot.actor, version, context, contextTimeMs }
}

function addDead(past: Map<Actor, number>, versions: Versions, nowMs: number): void {
  for (const version of versions) if (!isLive(version, nowMs)) addVersion(past, version)
}

/**
 * Every read of the key holds them all, and every write sends them to every replica. What settles the key leaves one
 * version, and what covers as much as it adds makes nothing worse: neither is refused, whatever came from elsewhere.
 */
function checkBytes(held: Versions, merged: Versions, objectBytesMax: number): void {
  if (merged.length < 2) return
  const objectBytes = valueBytesOf(merged)
  if (objectBytes <= objectBytesMax || objectBytes <= valueBytesOf(held)) return
  throw new AnnealError(
    'too_many_siblings',
    `with this write the ${merged.length} siblings of the key would have ${objectBytes} bytes together, and they may have ${objectBytesMax}: ${howToSettle}`,
    { siblings: held.length, objectBytes, objectBytesMax }
  )
}

/**
 * Whoever has not seen all that is here begins an epoch, which stays in the pasts of the key until it is deleted and the
 * tombstone collected. From a certain length of its context on, only who has seen everything may add to it, which
 * happens where another node coordinates than before; and from twice that, only deletes. So nobody is ever handed a
 * context that could not be handed back, or writes a row that could not be read.
 */
function checkContext(held: VersionVector, { past, tombstone }: Version, merged: Versions): void {
  if (held.size + past.size < contextEntriesMax) return
  const { size } = contextOf(merged)
  const hasSeenAll = descends(past, held)
  const valueMax = hasSeenAll ? contextEntriesMax * 2 : contextEntriesMax
  const max = hasSeenAll && tombstone ? vectorEntriesMax : valueMax
  if (size <= max || (size <= held.size && size <= vectorEntriesMax)) return
  const wayOut = hasSeenAll
    ? 'delete it, and write it again once the tombstone is collected, or use another key'
    : howToSettle
  throw new AnnealError(
    'too_many_siblings',
    `the context of the key would have ${size} entries, one more whenever a write has not seen what is there, and may have ${max}: ${wayOut}`,
    { contextEntries: size, contextEntriesMax: max }
  )
}

function valueBytesOf(versions: Versions): number {
  return versions.reduce((sum, { size }) => sum + size, 0)
}

function payloadOf(write: Write, timeMs: number): Payload {
  const { value, contentType, meta, ttlMs } = write
  if (value === null) {
    return { tombstone: true, contentType: '', meta: [], timeMs, expiresAtMs: 0, size: 0, value }
  }
  const expiresAtMs = ttlMs === 0 ? 0 : timeMs + ttlMs
  return { tombstone: false, contentType, meta, timeMs, expiresAtMs, size: value.length, value }
}
