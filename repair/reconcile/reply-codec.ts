import { ByteReader, ByteWriter } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { treeFanOut } from '../../core/limits.ts'
import { partitionsMax } from '../../ring/token.ts'
import { checkPlainLength, entriesMax, leavesMax, nodesMax, Room } from './message-limits.ts'
import {
  type Envelope,
  type Header,
  type HeaderRow,
  keyDigestBytes,
  type LeafReply,
  leavesBytes,
  type NodeAnswer,
  type OpenAnswer,
  type OpenStatus,
  type PresentRoot,
  type Reply,
  type ReplyKind,
  topBytes,
  wideEntryBytes
} from './messages.ts'
import type { RowOutcome } from './range-side.ts'
import {
  ActorReader,
  ActorWriter,
  readCount,
  readDelta,
  readFacts,
  readKeyDigest,
  readOffers,
  readPartitions,
  readRows,
  readWanted,
  roomForRows,
  writeDelta,
  writeFacts,
  writeKeyDigest,
  writeOffers,
  writePartitions,
  writeRows,
  writeWanted
} from './wire-parts.ts'

const kinds: readonly ReplyKind[] = [
  'opened',
  'verified',
  'descended',
  'compared',
  'exchanged',
  'pulled',
  'closed',
  'kept',
  'gone'
]
const statuses: readonly OpenStatus[] = ['equal', 'differs', 'full', 'empty', 'busy', 'notReady']
const noBytes = Buffer.alloc(0)

/** kind | facts | wanted facts | the answer. */
export function encodeReply(reply: Reply, envelope: Envelope): Buffer {
  const hasRows = reply.kind === 'exchanged' || reply.kind === 'pulled'
  const writer = new ByteWriter(512 + (hasRows ? roomForRows(reply.rows) : 0))
  writer.uint8(kinds.indexOf(reply.kind))
  writeFacts(writer, envelope.facts)
  writeWanted(writer, envelope.wanted)
  writeBody(writer, reply)
  return writer.finish()
}

function writeBody(writer: ByteWriter, reply: Reply): void {
  switch (reply.kind) {
    case 'opened':
      writer.varint(reply.nowMs)
      writeOffers(writer, reply.offers)
      return writeStatuses(writer, reply.partitions)
    case 'descended':
      return writeNullable(writer, reply.parts, writeNodes)
    case 'compared': {
      const actors = new ActorWriter(writer)
      return writeNullable(writer, reply.parts, (leaves) =>
        writeLeafReplies(writer, leaves, actors)
      )
    }
    case 'exchanged':
      writeOutcomes(writer, reply.outcomes)
      writer.varint(reply.answered).uint8(reply.stale ? 1 : 0)
      writeRows(writer, reply.rows)
      return writeRoots(writer, reply.roots)
    case 'pulled':
      writer.uint8((reply.stale ? 1 : 0) + (reply.wait ? 2 : 0))
      writer.lengthPrefixed(reply.next ?? Buffer.alloc(0))
      return writeRows(writer, reply.rows)
    case 'closed':
      writer.varint(reply.proven.length)
      for (const proven of reply.proven) writer.uint8(proven ? 1 : 0)
      return
    case 'verified':
    case 'kept':
    case 'gone':
      return
  }
}

function writeStatuses(writer: ByteWriter, partitions: readonly OpenAnswer[]): void {
  writer.varint(partitions.length)
  let previous = 0
  for (const { status, snapshot, keys, children } of partitions) {
    writer.uint8(statuses.indexOf(status))
    if (!hasSnapshot(status)) continue
    writeDelta(writer, snapshot, previous)
    previous = snapshot
    if (status === 'full') writer.varint(keys)
    if (status === 'differs') writer.bytes(children)
  }
}

/** The other partitions are done with. */
function hasSnapshot(status: OpenStatus): boolean {
  return status === 'differs' || status === 'full' || status === 'empty'
}

function writeNullable<Part>(
  writer: ByteWriter,
  parts: readonly (Part | null)[],
  write: (part: Part, writer: ByteWriter) => void
): void {
  writer.varint(parts.length)
  for (const part of parts) {
    writer.uint8(part === null ? 0 : 1)
    if (part !== null) write(part, writer)
  }
}

function writeNodes(nodes: readonly NodeAnswer[], writer: ByteWriter): void {
  writer.varint(nodes.length)
  for (const { mask, leaves } of nodes) writer.varint(mask).bytes(leaves)
}

function writeLeafReplies(
  writer: ByteWriter,
  leaves: readonly LeafReply[],
  actors: ActorWriter
): void {
  writer.varint(leaves.length)
  for (const { lacking, rows } of leaves) {
    writer.varint(lacking.length * smallCount + Math.min(rows.length, smallCount - 1))
    if (rows.length >= smallCount - 1) writer.varint(rows.length)
    let next = 0
    for (const index of lacking) {
      writer.varint(index - next)
      next = index + 1
    }
    for (const row of rows) writeHeaderRow(writer, row, actors)
  }
}

/** Both counts of a leaf fit one byte, unless there are many rows. */
const smallCount = 8

// Nearly every row has one version, is not young and not of a bucket that keeps the latest: one byte says all of it.
function writeHeaderRow(writer: ByteWriter, row: HeaderRow, actors: ActorWriter): void {
  const timed = row.versions[0]?.timeMs != null
  const young = row.youngMs > 0
  writeKeyDigest(writer, row.keyDigest)
  writer.varint(row.versions.length * 4 + (young ? 2 : 0) + (timed ? 1 : 0))
  if (young) writer.varint(row.youngMs)
  for (const version of row.versions) {
    actors.dot(version.dot)
    actors.vector(version.past)
    if (timed) writer.varint(version.timeMs ?? 0)
  }
}

function writeRoots(writer: ByteWriter, roots: readonly PresentRoot[]): void {
  writePartitions(
    writer,
    roots.map(({ partition }) => partition)
  )
  for (const { root } of roots) writer.bytes(root)
}

function readRoots(reader: ByteReader): PresentRoot[] {
  const rootsMax = Math.floor(reader.remaining / wideEntryBytes)
  return readPartitions(reader, rootsMax).map((partition) => ({
    partition,
    root: reader.bytes(wideEntryBytes)
  }))
}

function writeOutcomes(writer: ByteWriter, outcomes: readonly RowOutcome[]): void {
  writer.varint(outcomes.length)
  const actors = new ActorWriter(writer)
  let next = 0
  for (let index = 0; index < outcomes.length; index++) {
    const outcome = outcomes[index]
    if (outcome === undefined || outcome.kind === 'taken') continue
    if (outcome.kind === 'quarantined' && outcome.dots.length === 0) continue
    writer.varint(index - next + 1)
    next = index + 1
    if (outcome.kind === 'refused') writer.varint(0).string(outcome.reason)
    else actors.dots(outcome.dots)
  }
  writer.varint(0)
}

/** Errors: DecodeError for anything that is no reply. Rows share memory with `bytes`. */
export function decodeReply(bytes: Uint8Array): Envelope & { readonly reply: Reply } {
  const reader = new ByteReader(bytes)
  const kind = kinds[reader.uint8()]
  if (kind === undefined) throw new DecodeError('an unknown kind of reply')
  if (kind !== 'exchanged' && kind !== 'pulled') checkPlainLength(kind, bytes.length)
  const facts = readFacts(reader)
  const wanted = readWanted(reader)
  const reply = readBody(reader, kind)
  reader.finish()
  return { facts, wanted, reply }
}

function readBody(reader: ByteReader, kind: ReplyKind): Reply {
  switch (kind) {
    case 'opened':
      return {
        kind,
        nowMs: reader.varint(),
        offers: readOffers(reader),
        partitions: readStatuses(reader)
      }
    case 'descended': {
      const room = new Room(nodesMax, 'nodes')
      return { kind, parts: readNullable(reader, () => readNodes(reader, room)) }
    }
    case 'compared': {
      const rooms = {
        actors: new ActorReader(reader),
        leaves: new Room(leavesMax, 'leaves'),
        entries: new Room(entriesMax, 'entries')
      }
      return { kind, parts: readNullable(reader, () => readLeafReplies(reader, rooms)) }
    }
    case 'exchanged': {
      const outcomes = readOutcomes(reader)
      const answered = reader.varint()
      const stale = reader.uint8() === 1
      const rows = readRows(reader)
      return { kind, outcomes, answered, stale, rows, roots: readRoots(reader) }
    }
    case 'pulled': {
      const flags = reader.uint8()
      const next = reader.lengthPrefixed()
      return {
        kind,
        stale: (flags & 1) !== 0,
        wait: (flags & 2) !== 0,
        next: next.length === 0 ? null : next,
        rows: readRows(reader)
      }
    }
    case 'closed': {
      const count = readCount(reader, 1, partitionsMax)
      return { kind, proven: Array.from({ length: count }, () => reader.uint8() === 1) }
    }
    case 'verified':
    case 'kept':
    case 'gone':
      return { kind }
  }
}

function readStatuses(reader: ByteReader): OpenAnswer[] {
  let previous = 0
  return Array.from({ length: readCount(reader, 1, partitionsMax) }, () => {
    const status = statuses[reader.uint8()]
    if (status === undefined) throw new DecodeError('an unknown status of a partition')
    if (!hasSnapshot(status)) return { status, snapshot: 0, keys: 0, children: noBytes }
    previous = readDelta(reader, previous)
    const keys = status === 'full' ? reader.varint() : 0
    const children = status === 'differs' ? reader.bytes(topBytes) : noBytes
    return { status, snapshot: previous, keys, children }
  })
}

function readNullable<Part>(reader: ByteReader, read: () => Part): (Part | null)[] {
  const parts: (Part | null)[] = []
  for (let left = readCount(reader, 1, partitionsMax); left > 0; left--) {
    parts.push(reader.uint8() === 0 ? null : read())
  }
  return parts
}

function readNodes(reader: ByteReader, room: Room): NodeAnswer[] {
  const nodes = readCount(reader, 1)
  room.take(nodes)
  return Array.from({ length: nodes }, () => {
    const mask = reader.varint()
    if (mask >= 2 ** treeFanOut) throw new DecodeError(`a mask of ${mask}`)
    let count = 0
    for (let rest = mask; rest > 0; rest >>>= 1) count += rest & 1
    return { mask, leaves: reader.bytes(count * leavesBytes) }
  })
}

interface ComparedRooms {
  readonly actors: ActorReader
  readonly leaves: Room
  readonly entries: Room
}

function readLeafReplies(
  reader: ByteReader,
  { actors, leaves, entries }: ComparedRooms
): LeafReply[] {
  const leafCount = readCount(reader, 1)
  leaves.take(leafCount)
  return Array.from({ length: leafCount }, () => {
    const coded = reader.varint()
    const small = coded % smallCount
    const rowCount = small < smallCount - 1 ? small : reader.varint()
    const lackingCount = Math.floor(coded / smallCount)
    if (lackingCount + rowCount * (keyDigestBytes + 1) > reader.remaining) {
      throw new DecodeError(`${lackingCount} entries and ${rowCount} rows of a leaf`)
    }
    entries.take(lackingCount + rowCount)
    let next = 0
    const lacking = Array.from({ length: lackingCount }, () => {
      const index = next + reader.varint()
      next = index + 1
      return index
    })
    return { lacking, rows: Array.from({ length: rowCount }, () => readHeaderRow(reader, actors)) }
  })
}

function readHeaderRow(reader: ByteReader, actors: ActorReader): HeaderRow {
  const keyDigest = readKeyDigest(reader)
  const coded = reader.varint()
  const count = Math.floor(coded / 4)
  if (count * 3 > reader.remaining) throw new DecodeError(`${count} versions`)
  const youngMs = coded & 2 ? reader.varint() : 0
  const versions: Header[] = []
  for (let i = 0; i < count; i++) {
    const dot = actors.dot()
    const past = actors.vector()
    versions.push({ dot, past, timeMs: coded & 1 ? reader.varint() : null })
  }
  return { keyDigest, youngMs, versions }
}

const taken: RowOutcome = { kind: 'taken' }

// Rows that were taken cost no bytes, so their number is bounded by what fits one message of rows, and amply.
const outcomesMax = 65_536

function readOutcomes(reader: ByteReader): RowOutcome[] {
  const count = reader.varint()
  if (count > outcomesMax) throw new DecodeError(`outcomes of ${count} rows`)
  const actors = new ActorReader(reader)
  const outcomes = new Array<RowOutcome>(count).fill(taken)
  let next = 0
  for (let gap = reader.varint(); gap > 0; gap = reader.varint()) {
    const index = next + gap - 1
    next = index + 1
    if (index >= count) throw new DecodeError(`the outcome of row ${index} of ${count}`)
    const dots = actors.dots()
    outcomes[index] =
      dots.length === 0
        ? { kind: 'refused', reason: reader.string() }
        : { kind: 'quarantined', dots }
  }
  return outcomes
}
