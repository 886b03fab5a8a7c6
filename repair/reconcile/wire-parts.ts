import type { ByteReader, ByteWriter } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { partitionsMax, tokenOf } from '../../ring/token.ts'
import { makeObjectKey } from '../../storage/keys.ts'
import {
  type Actor,
  counterMax,
  type Dot,
  epochOf,
  type Incarnation,
  incarnationLength,
  incarnationOf,
  makeActor,
  type VersionVector
} from '../../storage/version-vector.ts'
import {
  dotsMax,
  factsMax,
  offeredPartitionsMax,
  offersMax,
  Room,
  rowsMax,
  wantedMax
} from './message-limits.ts'
import {
  type FactContent,
  type FactRequest,
  type OpenPartition,
  type PartitionRef,
  rootBytes
} from './messages.ts'
import type { FactKind, FactOffer, ShippedRow } from './range-side.ts'

/**
 * The parts that several messages are made of. A count is checked against the bytes that are left, and against what one
 * message may hold, before memory is taken.
 */
export function readCount(
  reader: ByteReader,
  bytesEach: number,
  countMax = Number.POSITIVE_INFINITY
): number {
  const count = reader.varint()
  if (count > countMax || count * bytesEach > reader.remaining) {
    throw new DecodeError(`a count of ${count}`)
  }
  return count
}

/** Numbers in rising order, as runs: how many are left out, how many follow each other. */
export function writePartitions(writer: ByteWriter, partitions: readonly number[]): void {
  const runs: [skipped: number, length: number][] = []
  let next = 0
  for (let at = 0; at < partitions.length; ) {
    const first = partitions[at] ?? 0
    let length = 1
    while (partitions[at + length] === first + length) length++
    runs.push([first - next, length])
    next = first + length
    at += length
  }
  writer.varint(runs.length)
  for (const [skipped, length] of runs) writer.varint(skipped).varint(length)
}

/** At most `countMax` of them. */
export function readPartitions(reader: ByteReader, countMax = partitionsMax): number[] {
  const runs: [from: number, to: number][] = []
  let next = 0
  let total = 0
  for (let left = readCount(reader, 2, countMax); left > 0; left--) {
    const from = next + reader.varint()
    next = from + reader.varint()
    if (next > partitionsMax) throw new DecodeError(`partition ${next - 1}`)
    total += next - from
    runs.push([from, next])
  }
  if (total > countMax) throw new DecodeError(`${total} partitions`)
  // A few bytes may stand for many partitions: the memory is taken once, and no more of it than that.
  const partitions = new Array<number>(total)
  let at = 0
  for (const [from, to] of runs) {
    for (let partition = from; partition < to; partition++) partitions[at++] = partition
  }
  return partitions
}

/** Signed differences of neighbours, since snapshots that are taken together have ids that are close together. */
export function writeDelta(writer: ByteWriter, value: number, previous: number): void {
  const delta = value - previous
  writer.varint(delta < 0 ? -delta * 2 - 1 : delta * 2)
}

export function readDelta(reader: ByteReader, previous: number): number {
  const coded = reader.varint()
  const value = previous + (coded % 2 === 1 ? -(coded + 1) / 2 : coded / 2)
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) throw new DecodeError(`a number of ${value}`)
  return value
}

export function writeRef(writer: ByteWriter, ref: PartitionRef): void {
  writer.varint(ref.partition).varint(ref.snapshot).varint(ref.peerSnapshot)
}

export function readRef(reader: ByteReader): PartitionRef {
  const partition = reader.varint()
  if (partition >= partitionsMax) throw new DecodeError(`partition ${partition}`)
  return { partition, snapshot: reader.varint(), peerSnapshot: reader.varint() }
}

const factKinds: readonly FactKind[] = ['table', 'watermark', 'proofs']

function writeFactName(writer: ByteWriter, { kind, name }: FactRequest): void {
  writer.uint8(factKinds.indexOf(kind)).bytes(Buffer.from(name, 'hex'))
}

function readFactName(reader: ByteReader): FactRequest {
  const kind = factKinds[reader.uint8()]
  if (kind === undefined) throw new DecodeError('an unknown kind of fact')
  return { kind, name: reader.bytes(8).toString('hex') }
}

/** Offers that would be too many are left out, from the first on that does not fit. */
export function writeOffers(writer: ByteWriter, offers: readonly FactOffer[]): void {
  let partitions = 0
  const last = offers.findIndex((offer) => {
    partitions += offer.partitions.length
    return partitions > offeredPartitionsMax
  })
  const sent = last === -1 ? offers : offers.slice(0, last)
  writer.varint(sent.length)
  for (const offer of sent) {
    writeFactName(writer, offer)
    writePartitions(writer, offer.partitions)
  }
}

export function readOffers(reader: ByteReader): FactOffer[] {
  let room = offeredPartitionsMax
  return Array.from({ length: readCount(reader, 10, offersMax) }, () => {
    const name = readFactName(reader)
    const partitions = readPartitions(reader, room)
    room -= partitions.length
    return { ...name, partitions }
  })
}

export function writeFacts(writer: ByteWriter, facts: readonly FactContent[]): void {
  writer.varint(facts.length)
  for (const fact of facts) {
    writeFactName(writer, fact)
    writer.lengthPrefixed(fact.content)
  }
}

export function readFacts(reader: ByteReader): FactContent[] {
  const count = readCount(reader, 10, factsMax)
  return Array.from({ length: count }, () => ({
    ...readFactName(reader),
    content: reader.lengthPrefixed()
  }))
}

export function writeWanted(writer: ByteWriter, wanted: readonly FactRequest[]): void {
  writer.varint(wanted.length)
  for (const fact of wanted) writeFactName(writer, fact)
}

export function readWanted(reader: ByteReader): FactRequest[] {
  return Array.from({ length: readCount(reader, 9, wantedMax) }, () => readFactName(reader))
}

/** The bytes that count as the row's own: what the other side would need of it under any protocol. */
export function rowBytes({ key, object }: ShippedRow): number {
  return key.bucket.length + key.key.length + object.length
}

export function totalRowBytes(rows: readonly ShippedRow[]): number {
  let total = 0
  for (const row of rows) total += rowBytes(row)
  return total
}

/** Bytes that the rows take in a message, with the three lengths of each, or a few more. */
export function roomForRows(rows: readonly ShippedRow[]): number {
  return totalRowBytes(rows) + rows.length * rowLengthsBytesMax
}

// Three varints of lengths below 2^28.
const rowLengthsBytesMax = 12

export function writeRows(writer: ByteWriter, rows: readonly ShippedRow[]): void {
  writer.varint(rows.length)
  for (const { key, object } of rows) {
    writer.lengthPrefixed(key.bucket).lengthPrefixed(key.key).lengthPrefixed(object)
  }
}

export function readRows(reader: ByteReader): ShippedRow[] {
  const count = readCount(reader, 3, rowsMax)
  const rows: ShippedRow[] = []
  for (let i = 0; i < count; i++) {
    const bucket = reader.lengthPrefixed()
    const key = reader.lengthPrefixed()
    rows.push({ key: readKey(bucket, key), object: reader.lengthPrefixed() })
  }
  return rows
}

function readKey(bucket: Buffer, key: Buffer) {
  if (bucket.length > 0xffff) throw new DecodeError(`a bucket's name of ${bucket.length} bytes`)
  return makeObjectKey(tokenOf(bucket, key), bucket, key)
}

export function readObjectKey(reader: ByteReader) {
  const bucket = reader.lengthPrefixed()
  return readKey(bucket, reader.lengthPrefixed())
}

/**
 * Incarnations are 8 bytes and few: each is written in full where it comes first in a message and by its number
 * afterwards. Writing and reading go through the same steps, so the numbers need not be sent. Epochs are many, one for
 * nearly every row; but most counters are that of their epoch or close to it, hence written as the difference.
 */
export class ActorWriter {
  readonly #writer: ByteWriter
  readonly #numbers = new Map<Incarnation, number>()

  constructor(writer: ByteWriter) {
    this.#writer = writer
  }

  dot({ actor, counter }: Dot): void {
    this.#entry(actor, counter)
  }

  vector(vector: VersionVector): void {
    this.#writer.varint(vector.size)
    for (const [actor, counter] of vector) this.#entry(actor, counter)
  }

  dots(dots: readonly Dot[]): void {
    this.#writer.varint(dots.length)
    for (const dot of dots) this.dot(dot)
  }

  #entry(actor: Actor, counter: number): void {
    const incarnation = incarnationOf(actor)
    const epoch = epochOf(actor)
    const number = this.#numbers.get(incarnation)
    if (number === undefined) {
      this.#numbers.set(incarnation, this.#numbers.size + 1)
      this.#writer.varint(0).latin1(incarnation)
    } else this.#writer.varint(number)
    this.#writer.varint(epoch)
    writeDelta(this.#writer, counter, epoch)
  }
}

/** The past of most versions. */
const nothingSeen: VersionVector = new Map()

export class ActorReader {
  readonly #reader: ByteReader
  readonly #incarnations: Incarnation[] = []
  readonly #room = new Room(dotsMax, 'dots')

  constructor(reader: ByteReader) {
    this.#reader = reader
  }

  dot(): Dot {
    this.#room.take(1)
    const number = this.#reader.varint()
    if (number === 0) this.#incarnations.push(this.#reader.latin1(incarnationLength))
    const incarnation = number === 0 ? this.#incarnations.at(-1) : this.#incarnations[number - 1]
    if (incarnation === undefined) {
      throw new DecodeError(`incarnation ${number} was not named before`)
    }
    const epoch = this.#reader.varint()
    const counter = readDelta(this.#reader, epoch)
    if (epoch > counterMax || counter > counterMax || counter === 0) {
      throw new DecodeError(`a dot of epoch ${epoch} and counter ${counter}`)
    }
    return { actor: makeActor(incarnation, epoch), counter }
  }

  vector(): VersionVector {
    const size = readCount(this.#reader, 2)
    if (size === 0) return nothingSeen
    const vector = new Map<Actor, number>()
    for (let i = 0; i < size; i++) {
      const { actor, counter } = this.dot()
      vector.set(actor, counter)
    }
    return vector
  }

  dots(): Dot[] {
    const dots: Dot[] = []
    for (let left = readCount(this.#reader, 2); left > 0; left--) dots.push(this.dot())
    return dots
  }
}

export function writeOpenPartitions(
  writer: ByteWriter,
  partitions: readonly OpenPartition[]
): void {
  writePartitions(
    writer,
    partitions.map(({ partition }) => partition)
  )
  let previous = 0
  for (const { snapshot, root, isEmpty } of partitions) {
    writeDelta(writer, snapshot, previous)
    previous = snapshot
    writer.uint8(isEmpty ? 1 : 0)
    if (!isEmpty) writer.bytes(root)
  }
}

export function readOpenPartitions(reader: ByteReader): OpenPartition[] {
  let snapshot = 0
  return readPartitions(reader).map((partition) => {
    snapshot = readDelta(reader, snapshot)
    const isEmpty = reader.uint8() === 1
    return { partition, snapshot, isEmpty, root: reader.bytes(isEmpty ? 0 : rootBytes) }
  })
}

export function writeKeyDigest(writer: ByteWriter, keyDigest: number): void {
  writer.uint8(Math.floor(keyDigest / 2 ** 32)).uint32(keyDigest % 2 ** 32)
}

export function readKeyDigest(reader: ByteReader): number {
  return reader.uint8() * 2 ** 32 + reader.uint32()
}
