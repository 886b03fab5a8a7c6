import { DecodeError } from '../../core/errors.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import { compareDots, type Dot } from '../../storage/version-vector.ts'
import {
  type ComparedRow,
  comparedRows,
  entryName,
  hiddenRows,
  keyDigestOf,
  youngMsOf
} from './leaf-content.ts'
import type { Header, HeaderRow, LeafReply } from './messages.ts'
import type { AbsenceRule, LeafListing, ListedRow, RangeSide, WantedRow } from './range-side.ts'
import { buriersOf, differenceOf } from './row-difference.ts'

/** What both sides of a comparison go by. */
export interface ComparisonRules {
  readonly side: RangeSide
  readonly session: Uint8Array
  readonly absence: AbsenceRule
  /** This node's own clock. */
  readonly nowMs: number
  readonly youngMs: number
}

/** A row that the other side was told of: what it may ask for by the digest of its key. */
export interface ReportedRow {
  readonly keyDigest: number
  readonly key: ObjectKey
  readonly dots: readonly Dot[]
  /** Bytes of the versions, in the same order. */
  readonly sizes: readonly number[]
}

export function reportedRow({ key, versions }: ComparedRow, keyDigest: number): ReportedRow {
  const dots = versions.map(({ dot }) => dot)
  return { keyDigest, key, dots, sizes: versions.map(({ size }) => size) }
}

/** An estimate of what it takes to send these versions of the row. */
export function bytesToSend({ key, dots, sizes }: ReportedRow, wanted: readonly Dot[]): number {
  let bytes = key.row.length
  for (const [i, dot] of dots.entries()) {
    const isWanted = wanted === dots || wanted.some((other) => compareDots(dot, other) === 0)
    if (isWanted) bytes += (sizes[i] ?? 0) + rowOverheadBytes
  }
  return bytes
}

interface ComparedEntries {
  readonly reply: LeafReply
  readonly reported: readonly ReportedRow[]
  /** Rows that may have overwritten what is lacking: see `hiddenRows`. */
  readonly hidden: readonly ListedRow[]
}

/** The answering side's part: which entries it lacks, and what it has instead. */
export function compareEntries(
  listing: LeafListing,
  entries: Uint8Array,
  width: number,
  rules: ComparisonRules
): ComparedEntries {
  const compared = comparedRows(rules.side, listing, rules.absence)
  const own = new Map(compared.map((row) => [entryName(row.entryDigest, 0, width), row]))
  // Held like that, though it counts as absent here: the clocks may disagree about what has expired.
  const absent = new Set(listing.entries.map((row) => entryName(row.entryDigest, 0, width)))
  const lacking: number[] = []
  for (let i = 0; i * width < entries.length; i++) {
    const name = entryName(entries, i * width, width)
    if (!own.delete(name) && !absent.has(name)) lacking.push(i)
  }
  const reported: ReportedRow[] = []
  const rows = [...own.values()].map((row) => {
    const keyDigest = keyDigestOf(rules.session, row.key)
    reported.push(reportedRow(row, keyDigest))
    return headerRow(row, keyDigest, rules)
  })
  const hidden =
    lacking.length === 0 ? [] : [...hiddenRows(rules.session, listing, compared).values()]
  return { reply: { lacking, rows }, reported, hidden }
}

function headerRow(row: ComparedRow, keyDigest: number, rules: ComparisonRules): HeaderRow {
  const latestOnly = rules.side.modeOf(row.key) === 'lww'
  const youngMs = Math.ceil(youngMsOf(row.versions, rules.nowMs, rules.youngMs))
  const versions = row.versions.map(
    ({ dot, past, timeMs }): Header => ({
      dot,
      past,
      timeMs: latestOnly ? timeMs : null
    })
  )
  return { keyDigest, youngMs, versions }
}

/** One key that differs, and what is to be done about it. */
export interface RowWork {
  readonly leaf: number
  readonly ship: WantedRow | null
  /** An estimate of the bytes of what is to be shipped. */
  readonly shipBytes: number
  readonly keyDigest: number
  /** What the peer has and this node lacks; empty for nothing. */
  readonly fetch: readonly Dot[]
  /** Whether that is all that the peer told of the row. */
  readonly fetchesAll: boolean
  /** Versions whose absence on one side keeps the partition from being proven, unless they come over. */
  readonly dots: readonly Dot[]
  readonly youngMs: number
}

/** A leaf of the asking side. */
export interface ComparedLeaf {
  readonly leaf: number
  /** Those whose entries were sent, in their order. */
  readonly rows: readonly ComparedRow[]
  /** See `hiddenRows`: what is held, though it does not take part, is not fetched. */
  readonly hidden: ReadonlyMap<number, ListedRow>
}

/** The asking side's part: what is to be done so that both sides hold the merge. */
export function workOf(
  { leaf, rows, hidden }: ComparedLeaf,
  { lacking, rows: headers }: LeafReply,
  rules: ComparisonRules
): RowWork[] {
  const theirs = new Map(headers.map((row) => [row.keyDigest, row]))
  const work: RowWork[] = []
  const pair = (keyDigest: number, row: ComparedRow | null, header: HeaderRow | null) => {
    const held = hidden.get(keyDigest) ?? row
    const found = workOfRow({ leaf, keyDigest, row, header, held }, rules)
    if (found !== null) work.push(found)
  }
  for (const index of lacking) {
    const row = rows[index]
    if (row === undefined) throw new DecodeError(`entry ${index} of ${rows.length}`)
    const keyDigest = keyDigestOf(rules.session, row.key)
    pair(keyDigest, row, theirs.get(keyDigest) ?? null)
    theirs.delete(keyDigest)
  }
  for (const [keyDigest, header] of theirs) pair(keyDigest, null, header)
  return work
}

const rowOverheadBytes = 96
/** The leaf is to be looked at once more, soon. */
const cameMeanwhileMs = 1

interface RowPair {
  readonly leaf: number
  readonly keyDigest: number
  readonly row: ComparedRow | null
  readonly header: HeaderRow | null
  /** The row with the versions that do not take part. */
  readonly held: ListedRow | null
}

function workOfRow(
  { leaf, keyDigest, row, header, held }: RowPair,
  { side, nowMs, youngMs }: ComparisonRules
): RowWork | null {
  const ours = row?.versions ?? []
  const theirs = header?.versions ?? []
  const all = held?.versions ?? []
  const latestOnly = held !== null && side.modeOf(held.key) === 'lww'
  const hidden = all.filter((version) => !ours.includes(version))
  const ship = [
    ...differenceOf(ours, theirs, latestOnly).ship,
    ...buriersOf(hidden, theirs, latestOnly)
  ]
  const lacking = differenceOf(all, theirs, latestOnly).fetch
  const fetch =
    held === null ? lacking : stillLacking(lacking, held.key, theirs, { side, latestOnly })
  if (ship.length === 0 && lacking.length === 0) return null
  let shipBytes = held === null ? 0 : held.key.row.length
  const shipped = all.filter(({ dot }) => ship.includes(dot))
  for (const { size } of shipped) shipBytes += size + rowOverheadBytes
  // However long the peer would wait, this side holds its partitions for no longer than it would itself.
  const leftMs = Math.max(
    youngMsOf(shipped, nowMs, youngMs),
    Math.min(header?.youngMs ?? 0, youngMs)
  )
  return {
    leaf,
    ship: held === null || ship.length === 0 ? null : { key: held.key, dots: ship },
    shipBytes,
    keyDigest,
    fetch,
    fetchesAll: fetch.length === theirs.length,
    dots: [...ship, ...lacking],
    youngMs: ship.length + fetch.length === 0 ? Math.max(leftMs, cameMeanwhileMs) : leftMs
  }
}

/** What has come in since the leaf was listed, which may be seconds ago where users are at work, is lacking no more. */
function stillLacking(
  lacking: readonly Dot[],
  key: ObjectKey,
  theirs: readonly Header[],
  { side, latestOnly }: { readonly side: RangeSide; readonly latestOnly: boolean }
): readonly Dot[] {
  if (lacking.length === 0) return lacking
  const { fetch } = differenceOf(side.held(key), theirs, latestOnly)
  return lacking.filter((dot) => fetch.some((other) => compareDots(dot, other) === 0))
}
