import { ByteReader, ByteWriter } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { leavesPerPartition, treeFanOut } from '../../core/limits.ts'
import { partitionsMax } from '../../ring/token.ts'
import { checkPlainLength, leavesMax, Room, rowsMax, setAsideMax } from './message-limits.ts'
import {
  type DescendPart,
  type Envelope,
  entryBytes,
  type LeavesPart,
  type PartitionRef,
  type Question,
  type QuestionKind,
  topBytes,
  type Want,
  type WantsPart,
  wantDigestBytes,
  wideEntryBytes
} from './messages.ts'
import {
  ActorReader,
  ActorWriter,
  readCount,
  readFacts,
  readObjectKey,
  readOffers,
  readOpenPartitions,
  readPartitions,
  readRef,
  readRows,
  readWanted,
  roomForRows,
  writeFacts,
  writeOffers,
  writeOpenPartitions,
  writePartitions,
  writeRef,
  writeRows,
  writeWanted
} from './wire-parts.ts'

const kinds: readonly QuestionKind[] = [
  'open',
  'verify',
  'descend',
  'leaves',
  'exchange',
  'pull',
  'close',
  'keep',
  'bye'
]

/** kind | facts | wanted facts | what the question is about. */
export function encodeQuestion(question: Question, envelope: Envelope): Buffer {
  const rowBytes = question.kind === 'exchange' ? roomForRows(question.rows) : 0
  const writer = new ByteWriter(512 + rowBytes)
  writer.uint8(kinds.indexOf(question.kind))
  writeFacts(writer, envelope.facts)
  writeWanted(writer, envelope.wanted)
  writeBody(writer, question)
  return writer.finish()
}

function writeBody(writer: ByteWriter, question: Question): void {
  switch (question.kind) {
    case 'open':
      writer.varint(question.nowMs)
      writeOffers(writer, question.offers)
      return writeOpenPartitions(writer, question.partitions)
    case 'verify':
      return writePartitions(writer, question.partitions)
    case 'descend':
      return writeParts(writer, question.parts, writeDescend)
    case 'leaves':
      writer.uint8(question.width)
      return writeParts(writer, question.parts, (to, part) => writeLeaves(to, part, question.width))
    case 'exchange': {
      writer.uint8(question.wantsRoots ? 1 : 0)
      writeRows(writer, question.rows)
      const actors = new ActorWriter(writer)
      return writeParts(writer, question.parts, (to, part) => writeWants(to, part, actors))
    }
    case 'pull': {
      const { part } = question
      writeRef(writer, part)
      writer.varint(part.leafFrom).varint(part.leafTo).varint(part.bytesMax)
      writer.lengthPrefixed(part.from ?? Buffer.alloc(0))
      return
    }
    case 'close':
      return writeClose(writer, question)
    case 'keep':
    case 'bye':
      return
  }
}

function writeParts<Part extends PartitionRef>(
  writer: ByteWriter,
  parts: readonly Part[],
  write: (writer: ByteWriter, part: Part) => void
): void {
  writer.varint(parts.length)
  for (const part of parts) {
    writeRef(writer, part)
    write(writer, part)
  }
}

function writeDescend(writer: ByteWriter, { nodes }: DescendPart): void {
  writer.varint(nodes.length)
  let next = 0
  for (const { index, children } of nodes) {
    writer.varint(index - next).bytes(children)
    next = index + 1
  }
}

function writeLeaves(writer: ByteWriter, { leaves }: LeavesPart, width: number): void {
  writer.varint(leaves.length)
  let next = 0
  for (const { leaf, entries } of leaves) {
    writer
      .varint(leaf - next)
      .varint(entries.length / width)
      .bytes(entries)
    next = leaf + 1
  }
}

function writeWants(writer: ByteWriter, { wants }: WantsPart, actors: ActorWriter): void {
  writer.varint(wants.length)
  let previous = 0
  for (const { leaf, digestStart, dots } of wants) {
    const step = leaf - previous
    previous = leaf
    writer.varint(step * 2 + (dots === null ? 0 : 1))
    writer
      .uint8(digestStart >>> 16)
      .uint8(digestStart >>> 8)
      .uint8(digestStart)
    if (dots !== null) actors.dots(dots)
  }
}

function writeClose(writer: ByteWriter, question: Extract<Question, { kind: 'close' }>): void {
  writer.bytes(Buffer.from(question.table, 'hex'))
  writePartitions(writer, question.equal)
  writePartitions(writer, question.finished)
  writer.varint(question.setAside.length)
  const actors = new ActorWriter(writer)
  for (const { key, dots } of question.setAside) {
    writer.lengthPrefixed(key.bucket).lengthPrefixed(key.key)
    actors.dots(dots)
  }
}

/** Errors: DecodeError for anything that is no question. Digests and rows share memory with `bytes`. */
export function decodeQuestion(bytes: Uint8Array): Envelope & { readonly question: Question } {
  const reader = new ByteReader(bytes)
  const kind = kinds[reader.uint8()]
  if (kind === undefined) throw new DecodeError('an unknown kind of question')
  if (kind !== 'exchange') checkPlainLength(kind, bytes.length)
  const facts = readFacts(reader)
  const wanted = readWanted(reader)
  const question = readBody(reader, kind)
  reader.finish()
  return { facts, wanted, question }
}

function readBody(reader: ByteReader, kind: QuestionKind): Question {
  switch (kind) {
    case 'open':
      return {
        kind,
        nowMs: reader.varint(),
        offers: readOffers(reader),
        partitions: readOpenPartitions(reader)
      }
    case 'verify':
      return { kind, partitions: readPartitions(reader) }
    case 'descend':
      return { kind, parts: readParts(reader, readDescend) }
    case 'leaves': {
      const width = reader.uint8()
      if (width !== entryBytes && width !== wideEntryBytes) {
        throw new DecodeError(`entries of ${width} bytes`)
      }
      const room = new Room(leavesMax, 'leaves')
      return {
        kind,
        width,
        parts: readParts(reader, (ref) => readLeaves(reader, ref, width, room))
      }
    }
    case 'exchange': {
      const wantsRoots = reader.uint8() === 1
      const rows = readRows(reader)
      const actors = new ActorReader(reader)
      const room = new Room(rowsMax, 'wants')
      return {
        kind,
        wantsRoots,
        rows,
        parts: readParts(reader, (ref) => readWants(reader, ref, actors, room))
      }
    }
    case 'pull':
      return { kind, part: readPull(reader) }
    case 'close':
      return readClose(reader)
    case 'keep':
    case 'bye':
      return { kind }
  }
}

function readParts<Part>(
  reader: ByteReader,
  read: (ref: PartitionRef, reader: ByteReader) => Part
): Part[] {
  const count = readCount(reader, 4, partitionsMax)
  const parts: Part[] = []
  for (let left = count; left > 0; left--) parts.push(read(readRef(reader), reader))
  return parts
}

function readDescend(ref: PartitionRef, reader: ByteReader): DescendPart {
  const nodes: { index: number; children: Buffer }[] = []
  let next = 0
  for (let left = readCount(reader, topBytes); left > 0; left--) {
    const index = next + reader.varint()
    next = index + 1
    if (index >= treeFanOut) throw new DecodeError(`node ${index} of a tree`)
    nodes.push({ index, children: reader.bytes(topBytes) })
  }
  return { ...ref, nodes }
}

function readLeaves(reader: ByteReader, ref: PartitionRef, width: number, room: Room): LeavesPart {
  const leaves: { leaf: number; entries: Buffer }[] = []
  const count = readCount(reader, 2)
  room.take(count)
  let next = 0
  for (let left = count; left > 0; left--) {
    const leaf = next + reader.varint()
    next = leaf + 1
    checkLeaf(leaf)
    leaves.push({ leaf, entries: reader.bytes(readCount(reader, width) * width) })
  }
  return { ...ref, leaves }
}

function readWants(
  reader: ByteReader,
  ref: PartitionRef,
  actors: ActorReader,
  room: Room
): WantsPart {
  const wants: Want[] = []
  const count = readCount(reader, 1 + wantDigestBytes)
  room.take(count)
  let leaf = 0
  for (let left = count; left > 0; left--) {
    const coded = reader.varint()
    leaf += Math.floor(coded / 2)
    checkLeaf(leaf)
    const digestStart = reader.bytes(wantDigestBytes).readUIntBE(0, wantDigestBytes)
    wants.push({ leaf, digestStart, dots: coded % 2 === 0 ? null : actors.dots() })
  }
  return { ...ref, wants }
}

function checkLeaf(leaf: number): void {
  if (leaf >= leavesPerPartition) throw new DecodeError(`leaf ${leaf}`)
}

function readPull(reader: ByteReader) {
  const ref = readRef(reader)
  const leafFrom = reader.varint()
  const leafTo = reader.varint()
  if (leafFrom > leafTo || leafTo > leavesPerPartition) {
    throw new DecodeError(`leaves from ${leafFrom} to ${leafTo}`)
  }
  const bytesMax = reader.varint()
  const from = reader.lengthPrefixed()
  return { ...ref, leafFrom, leafTo, bytesMax, from: from.length === 0 ? null : from }
}

function readClose(reader: ByteReader): Question {
  const table = reader.bytes(8).toString('hex')
  const equal = readPartitions(reader)
  const finished = readPartitions(reader)
  const count = readCount(reader, 4, setAsideMax)
  const actors = new ActorReader(reader)
  const setAside = Array.from({ length: count }, () => ({
    key: readObjectKey(reader),
    dots: actors.dots()
  }))
  return { kind: 'close', table, equal, finished, setAside }
}
