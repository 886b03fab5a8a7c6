import type { Incarnation } from '../storage/version-vector.ts'
import type { WatermarkVector } from './watermark-vector.ts'

/**
 * What a member vouches for of one of its incarnations: every write with a counter up to `upTo` lies in the rows of some
 * replica, or has been overwritten there. Where hints still hold such a write the partition has a lower number of its
 * own. Infinity: the incarnation mints no more.
 */
export interface IncarnationReport {
  readonly member: string
  readonly upTo: number
  /** By partition; always below `upTo`. */
  readonly lower: ReadonlyMap<number, number>
}

/**
 * All reports that were ever heard, a state-based CRDT: each number is a fact that stays true, so that of two the greater
 * stands, partition by partition. Nothing is ever forgotten, since a past may name an incarnation years later. Tables
 * and the reports in them are never changed once made.
 */
export type ReportTable = ReadonlyMap<Incarnation, IncarnationReport>

export const emptyTable: ReportTable = new Map()

/** What is reported of an incarnation that mints no more. */
export const ended = Number.POSITIVE_INFINITY
export const lowerNowhere: ReadonlyMap<number, number> = new Map()

export function reportedAt({ upTo, lower }: IncarnationReport, partition: number): number {
  return lower.size === 0 ? upTo : (lower.get(partition) ?? upTo)
}

export interface OwnIncarnations {
  readonly member: string
  readonly present: Incarnation
  /** What the present incarnation has minted so far, all of it in this node's rows or hints. */
  readonly counter: number
  /** Incarnations that this node remembers to have ended. */
  readonly ended: readonly Incarnation[]
}

/** The least counters of some incarnations that hints hold, by partition. */
export type HintedDots = ReadonlyMap<number, ReadonlyMap<Incarnation, number>>

/** What is known of where writes lie that have not come to stay on a row. */
export interface Unsettled {
  /** What hints hold of each of these incarnations, on this node and elsewhere; null: not known yet. */
  hinted(incarnations: ReadonlySet<Incarnation>): HintedDots | null
  /**
   * Up to where every write of the incarnation has found its places, of those with counters up to `upTo`; 0 where that
   * is not known yet.
   */
  settledUpTo(incarnation: Incarnation, upTo: number): number
}

/**
 * The member's report on itself. What others know to be an incarnation of this member has ended too, even if this node
 * has lost all memory of it: one data directory mints at a time. `known` is the table so far.
 */
export function reportOnSelf(
  own: OwnIncarnations,
  unsettled: Unsettled,
  known: ReportTable
): ReportTable {
  const { member, present, counter } = own
  const minted = new Map([[present, counter]])
  for (const incarnation of own.ended) minted.set(incarnation, ended)
  for (const [incarnation, report] of known) {
    if (report.member === member && incarnation !== present) minted.set(incarnation, ended)
  }
  return reportOn(member, minted, unsettled, known)
}

/** A removed member mints no more, and its own hints are gone with it. */
export function reportOnRemoved(
  member: string,
  unsettled: Unsettled,
  known: ReportTable
): ReportTable {
  const minted = new Map<Incarnation, number>()
  for (const [incarnation, report] of known)
    if (report.member === member) minted.set(incarnation, ended)
  return reportOn(member, minted, unsettled, known)
}

/** Whether nothing more can be said of an incarnation. */
export function isSettled({ upTo, lower }: IncarnationReport): boolean {
  return upTo === ended && lower.size === 0
}

/** `minted`: the counter up to which each incarnation has minted. */
function reportOn(
  member: string,
  minted: Map<Incarnation, number>,
  unsettled: Unsettled,
  known: ReportTable
): ReportTable {
  for (const incarnation of minted.keys()) {
    const report = known.get(incarnation)
    if (report !== undefined && isSettled(report)) minted.delete(incarnation)
  }
  const table = new Map<Incarnation, IncarnationReport>()
  if (minted.size === 0) return table
  const hinted = unsettled.hinted(new Set(minted.keys()))
  for (const [incarnation, counter] of minted) {
    const upTo = hinted === null ? 0 : unsettled.settledUpTo(incarnation, counter)
    table.set(incarnation, { member, upTo, lower: lowerOf(incarnation, upTo, hinted) })
  }
  return table
}

function lowerOf(
  incarnation: Incarnation,
  upTo: number,
  hinted: HintedDots | null
): ReadonlyMap<number, number> {
  const lower = new Map<number, number>()
  for (const [partition, least] of hinted ?? []) {
    const counter = least.get(incarnation)
    if (counter !== undefined && counter - 1 < upTo) lower.set(partition, counter - 1)
  }
  return lower.size === 0 ? lowerNowhere : lower
}

/** Commutative, associative, idempotent; never lower anywhere. Answers `a` itself where `b` adds nothing. */
export function mergeTables(a: ReportTable, b: ReportTable): ReportTable {
  if (a === b) return a
  let merged: Map<Incarnation, IncarnationReport> | null = null
  for (const [incarnation, theirs] of b) {
    const ours = a.get(incarnation)
    const report = ours === undefined ? theirs : mergeReports(ours, theirs)
    if (report === ours) continue
    merged ??= new Map(a)
    merged.set(incarnation, report)
  }
  return merged ?? a
}

function mergeReports(a: IncarnationReport, b: IncarnationReport): IncarnationReport {
  // What is known already comes again with every exchange.
  if (a.member === b.member && a.upTo === b.upTo && sameNumbers(a.lower, b.lower)) return a
  const [member = a.member] = [a.member, b.member].sort()
  const upTo = Math.max(a.upTo, b.upTo)
  const lower = new Map<number, number>()
  for (const partition of new Set([...a.lower.keys(), ...b.lower.keys()])) {
    const counter = Math.max(reportedAt(a, partition), reportedAt(b, partition))
    if (counter < upTo) lower.set(partition, counter)
  }
  const same = member === a.member && upTo === a.upTo && sameNumbers(lower, a.lower)
  return same ? a : { member, upTo, lower: lower.size === 0 ? lowerNowhere : lower }
}

function sameNumbers(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a) if (b.get(key) !== value) return false
  return true
}

interface TableVectors {
  /** Of all partitions that no report lowers: nearly all share one and the same vector. */
  readonly common: WatermarkVector
  readonly lowered: Map<number, WatermarkVector | null>
}

const vectorsOf = new WeakMap<ReportTable, TableVectors>()

/** What the table says of one partition: the same object for the same question. */
export function vectorAt(table: ReportTable, partition: number): WatermarkVector {
  let vectors = vectorsOf.get(table)
  if (vectors === undefined) {
    const lowered = new Map<number, WatermarkVector | null>()
    for (const { lower } of table.values()) for (const p of lower.keys()) lowered.set(p, null)
    vectors = { common: makeVector(table, null), lowered }
    vectorsOf.set(table, vectors)
  }
  const known = vectors.lowered.get(partition)
  if (known === undefined) return vectors.common
  const vector = known ?? makeVector(table, partition)
  vectors.lowered.set(partition, vector)
  return vector
}

function makeVector(table: ReportTable, partition: number | null): WatermarkVector {
  const vector = new Map<Incarnation, number>()
  for (const [incarnation, report] of table) {
    const counter = partition === null ? report.upTo : reportedAt(report, partition)
    if (counter > 0) vector.set(incarnation, counter)
  }
  return vector
}
