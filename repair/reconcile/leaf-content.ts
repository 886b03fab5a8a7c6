import { asBuffer, compareBytes } from '../../core/bytes.ts'
import { hash64 } from '../../core/hash.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import { hashObject, type Version, type Versions } from '../../storage/version.ts'
import { keyDigestBytes, wantDigestBytes } from './messages.ts'
import type { AbsenceRule, LeafListing, ListedRow, RangeSide } from './range-side.ts'

/** A row as it takes part in a comparison: without the versions that count as absent. */
export interface ComparedRow {
  readonly key: ObjectKey
  readonly versions: Versions
  readonly entryDigest: Uint8Array
}

/** Rows in the order of their entries' digests, which says nothing of their keys and is the same on both sides. */
export function comparedRows(
  side: RangeSide,
  { partition, entries }: LeafListing,
  rule: AbsenceRule
): ComparedRow[] {
  const isAbsent = (version: Version) =>
    (version.tombstone || version.expiresAtMs > 0) && side.collectable(partition, version, rule)
  const rows: ComparedRow[] = []
  for (const row of entries) {
    if (!row.versions.some(isAbsent)) {
      rows.push(row)
      continue
    }
    const { key } = row
    const versions = row.versions.filter((version) => !isAbsent(version))
    if (versions.length === 0) continue
    rows.push({ key, versions, entryDigest: side.entryDigest(key, hashObject(versions)) })
  }
  return rows.sort((a, b) => compareBytes(a.entryDigest, b.entryDigest))
}

/** Rows of which a version counts as absent, by their names within the leaf, with all that is really held of them. */
export function hiddenRows(
  session: Uint8Array,
  { entries }: LeafListing,
  compared: readonly ComparedRow[]
): ReadonlyMap<number, ListedRow> {
  const unchanged = new Set<object>(compared)
  const hidden = new Map<number, ListedRow>()
  for (const row of entries) {
    if (!unchanged.has(row)) hidden.set(keyDigestOf(session, row.key), row)
  }
  return hidden
}

export function packEntries(rows: readonly ComparedRow[], width: number): Buffer {
  const packed = Buffer.allocUnsafe(rows.length * width)
  rows.forEach(({ entryDigest }, i) => {
    packed.set(entryDigest.subarray(0, width), i * width)
  })
  return packed
}

/** An entry's digest, cut to `width` bytes, as a map key. */
export function entryName(bytes: Uint8Array, offset: number, width: number): string {
  return asBuffer(bytes).toString('latin1', offset, offset + width)
}

/**
 * What a row is called by within its leaf, for the length of one session. Salted with the session, so that two keys
 * that are taken for each other by accident, or by design of a client, are not so the next time.
 */
export function keyDigestOf(session: Uint8Array, key: ObjectKey): number {
  return asBuffer(hash64(session, key.row)).readUIntBE(0, keyDigestBytes)
}

/** The first bytes of a key's digest: see `Want`. */
export function startOf(keyDigest: number): number {
  return Math.floor(keyDigest / 2 ** (8 * (keyDigestBytes - wantDigestBytes)))
}

/**
 * For how long the latest of the versions is still young; a time in the future is no excuse for waiting longer. Nor is one
 * in the far future for waiting at all: clocks disagree, and would keep the row from being repaired until they do not.
 */
export function youngMsOf(versions: Versions, nowMs: number, youngMs: number): number {
  let left = 0
  for (const { timeMs } of versions) {
    const ageMs = nowMs - timeMs
    if (ageMs > -youngMs) left = Math.max(left, Math.min(youngMs, youngMs - ageMs))
  }
  return left
}
