import { ByteReader, ByteWriter } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { vectorEntriesMax } from '../core/limits.ts'
import { partitionsMax } from '../ring/token.ts'
import { type Incarnation, incarnationLength } from '../storage/version-vector.ts'
import {
  ended,
  type IncarnationReport,
  isSettled,
  lowerNowhere,
  type ReportTable
} from './report-table.ts'
import { type ContentName, nameOf } from './watermark-vector.ts'

/** The table in two parts: `live` changes all the time, `settled` (incarnations at infinity) only with restarts. */
export interface TableParts {
  readonly live: Uint8Array
  readonly settled: Uint8Array
}

export interface EncodedTable extends TableParts {
  /** 8 bytes that name `settled`, as `nameOf` does: every exchange of reports compares them. */
  readonly settledName: Buffer
}

const encoded = new WeakMap<ReportTable, EncodedTable>()

/**
 * Canonical: equal tables give equal bytes. Worked out once for each table, which therefore must not change any more, nor
 * may the bytes: a table is told to every member in turn.
 */
export function encodeTable(table: ReportTable): EncodedTable {
  const known = encoded.get(table) ?? encodeAnew(table)
  encoded.set(table, known)
  return known
}

function encodeAnew(table: ReportTable): EncodedTable {
  const entries = [...table].sort(([a], [b]) => (a < b ? -1 : 1))
  const live = new ByteWriter()
  for (const [incarnation, report] of entries) {
    if (!isSettled(report)) encodeLive(live, incarnation, report)
  }
  const byMember = new Map<string, Incarnation[]>()
  for (const [incarnation, report] of entries) {
    if (!isSettled(report)) continue
    const incarnations = byMember.get(report.member) ?? []
    incarnations.push(incarnation)
    byMember.set(report.member, incarnations)
  }
  const settled = new ByteWriter()
  for (const [member, incarnations] of [...byMember].sort(([a], [b]) => (a < b ? -1 : 1))) {
    settled.string(member).varint(incarnations.length)
    for (const incarnation of incarnations) settled.latin1(incarnation)
  }
  const settledBytes = settled.finish()
  const settledName = Buffer.from(nameOf(settledBytes), 'hex')
  return { live: live.finish(), settled: settledBytes, settledName }
}

function encodeLive(writer: ByteWriter, incarnation: Incarnation, report: IncarnationReport): void {
  writer.latin1(incarnation).string(report.member)
  // Zero is a number here, unlike in a watermark: an incarnation may have written nothing yet.
  writer.uint8(report.upTo === ended ? 1 : 0)
  if (report.upTo !== ended) writer.varint(report.upTo)
  writer.varint(report.lower.size)
  for (const [partition, counter] of [...report.lower].sort(([a], [b]) => a - b)) {
    writer.varint(partition).varint(counter)
  }
}

/** Errors: DecodeError for anything that `encodeTable` does not write. */
export function decodeTable({ live, settled }: TableParts): ReportTable {
  const table = new Map<Incarnation, IncarnationReport>()
  decodeLive(new ByteReader(live), table)
  decodeSettled(new ByteReader(settled), table)
  return table
}

function decodeLive(reader: ByteReader, table: Map<Incarnation, IncarnationReport>): void {
  let previous = ''
  while (reader.remaining > 0) {
    const incarnation = reader.latin1(incarnationLength)
    if (incarnation <= previous) throw new DecodeError('reports out of order')
    previous = incarnation
    const member = reader.string()
    const flag = reader.uint8()
    if (flag > 1) throw new DecodeError(`unknown flags ${flag} of a report`)
    const upTo = flag === 1 ? ended : reader.varint()
    const lower = decodeLower(reader, upTo)
    if (upTo === ended && lower.size === 0) throw new DecodeError('a settled report among the live')
    add(table, incarnation, { member, upTo, lower })
  }
}

function decodeLower(reader: ByteReader, upTo: number): ReadonlyMap<number, number> {
  const size = reader.varint()
  if (size === 0) return lowerNowhere
  if (size > partitionsMax) throw new DecodeError(`${size} partitions in a report`)
  const lower = new Map<number, number>()
  let previous = -1
  for (let i = 0; i < size; i++) {
    const partition = reader.varint()
    const counter = reader.varint()
    if (partition <= previous || partition >= partitionsMax || counter >= upTo) {
      throw new DecodeError('a report whose partitions make no sense')
    }
    previous = partition
    lower.set(partition, counter)
  }
  return lower
}

function decodeSettled(reader: ByteReader, table: Map<Incarnation, IncarnationReport>): void {
  let previousMember = ''
  while (reader.remaining > 0) {
    const member = reader.string()
    if (member <= previousMember) throw new DecodeError('members out of order')
    previousMember = member
    const count = reader.varint()
    if (count === 0 || count > vectorEntriesMax) throw new DecodeError(`${count} incarnations`)
    let previous = ''
    for (let i = 0; i < count; i++) {
      const incarnation = reader.latin1(incarnationLength)
      if (incarnation <= previous) throw new DecodeError('incarnations out of order')
      previous = incarnation
      add(table, incarnation, { member, upTo: ended, lower: lowerNowhere })
    }
  }
}

function add(
  table: Map<Incarnation, IncarnationReport>,
  incarnation: Incarnation,
  report: IncarnationReport
): void {
  if (table.has(incarnation)) throw new DecodeError('two reports on one incarnation')
  if (table.size >= vectorEntriesMax) throw new DecodeError('too many incarnations')
  table.set(incarnation, report)
}

/** Both parts as one run of bytes, for a row or a message that wants the whole. */
export function packTable(table: ReportTable): Buffer {
  const { live, settled } = encodeTable(table)
  return new ByteWriter(16 + live.length + settled.length)
    .lengthPrefixed(live)
    .lengthPrefixed(settled)
    .finish()
}

/** Errors: DecodeError. */
export function unpackTable(bytes: Uint8Array): ReportTable {
  const reader = new ByteReader(bytes)
  const table = decodeTable({ live: reader.lengthPrefixed(), settled: reader.lengthPrefixed() })
  reader.finish()
  return table
}

const tableNames = new WeakMap<ReportTable, ContentName>()

/** 8 bytes in hexadecimal digits that name a table in messages and rows. */
export function nameOfTable(table: ReportTable): ContentName {
  let name = tableNames.get(table)
  if (name === undefined) {
    name = nameOf(packTable(table))
    tableNames.set(table, name)
  }
  return name
}
