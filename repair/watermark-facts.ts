import { ByteReader, ByteWriter } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { isLive, type Version } from '../storage/version.ts'
import type { Dot } from '../storage/version-vector.ts'
import { makePair, type Pair, type PairProof } from './pair-proofs.ts'
import type {
  AbsenceRule,
  FactKind,
  FactName,
  FactOffer,
  PreparedProof,
  ProofNote
} from './reconcile/range-side.ts'
import { type ReportTable, vectorAt } from './report-table.ts'
import { nameOfTable, packTable, unpackTable } from './report-table-codec.ts'
import {
  coversVersion,
  decodeWatermark,
  encodeWatermark,
  isAtOrBelow,
  joinWatermarks,
  nameOf,
  nameOfWatermark,
  type WatermarkVector
} from './watermark-vector.ts'
import type { Watermarks } from './watermarks.ts'

const factsKeptMax = 64
const proofsInBundleMax = 4096

/** What has been proven of one pair, as it is passed on. */
interface PassedProof {
  readonly pair: Pair
  readonly table: ReportTable
}

/** The part of an exchange that speaks of watermarks: what each side tells the other, by names, and what comes of it. */
export class WatermarkFacts {
  readonly #watermarks: Watermarks
  readonly #tables = new Map<FactName, ReportTable>()
  readonly #bundles = new Map<FactName, Uint8Array>()
  readonly #joined = new Map<string, WatermarkVector>()
  /** By peer, and by partition, how often damage had been found when the last exchange about it began. */
  readonly #begun = new Map<string, Map<number, number>>()

  constructor(watermarks: Watermarks) {
    this.#watermarks = watermarks
  }

  offers(partitions: readonly number[], peer: string): readonly FactOffer[] {
    this.#noteBeginning(partitions, peer)
    const { table } = this.#watermarks
    keep(this.#tables, nameOfTable(table), table)
    const offers: FactOffer[] = [{ kind: 'table', name: nameOfTable(table), partitions }]
    const byVector = new Map<FactName, number[]>()
    for (const partition of partitions) {
      const vector = this.#watermarks.vector(partition)
      if (vector.size > 0) append(byVector, nameOfWatermark(vector), partition)
    }
    for (const [name, shared] of byVector) {
      offers.push({ kind: 'watermark', name, partitions: shared })
    }
    return [...offers, ...this.#proofOffers(partitions, peer)]
  }

  /** Whether the content is known here already; then it is taken note of at once. */
  knows({ kind, name, partitions }: FactOffer): boolean {
    if (kind === 'table') {
      if (nameOfTable(this.#watermarks.table) === name)
        keep(this.#tables, name, this.#watermarks.table)
      return this.#tables.has(name)
    }
    if (kind === 'watermark') {
      const vector = this.#watermarks.vectorNamed(name)
      if (vector === null) return false
      for (const partition of partitions) this.#watermarks.hear(partition, vector)
      return true
    }
    const bundle = this.#bundles.get(name)
    if (bundle !== undefined) this.#hearBundle(bundle, partitions)
    return bundle !== undefined
  }

  fact(kind: FactKind, name: FactName): Uint8Array | null {
    if (kind === 'proofs') return this.#bundles.get(name) ?? null
    if (kind === 'watermark') {
      const vector = this.#watermarks.vectorNamed(name)
      return vector === null ? null : encodeWatermark(vector)
    }
    const table = this.#tables.get(name) ?? this.#watermarks.provenTable(name)
    return table === null || table === undefined ? null : packTable(table)
  }

  /** Errors: DecodeError for bytes that are no such fact, or have another name. */
  learn({ kind, name, partitions }: FactOffer, content: Uint8Array): void {
    if (nameOf(content) !== name) throw new DecodeError(`a ${kind} that is not what its name says`)
    if (kind === 'table') {
      const table = unpackTable(content)
      this.#watermarks.learnReports(table)
      keep(this.#tables, name, table)
    } else if (kind === 'watermark') {
      const vector = decodeWatermark(content)
      for (const partition of partitions) this.#watermarks.hear(partition, vector)
    } else {
      this.#hearBundle(content, partitions)
      keep(this.#bundles, name, Uint8Array.from(content))
    }
  }

  /** True also where the table is not known: then nothing counts as too new to matter. */
  isReported(table: FactName, partition: number, dot: Dot): boolean {
    const known = this.#tables.get(table)
    return known === undefined || isAtOrBelow(vectorAt(known, partition), dot)
  }

  /** By what both sides know together: either may have collected the version already. */
  collectable(partition: number, version: Version, { watermark, nowMs }: AbsenceRule): boolean {
    if (isLive(version, nowMs)) return false
    return coversVersion(this.#joinedWith(partition, watermark), version)
  }

  prepareProof({ peer, partitions, table }: PreparedProof): void {
    const prepared = this.#tables.get(table)
    if (prepared === undefined) return
    this.#watermarks.prepareProof(this.#sound(partitions, peer), peer, prepared)
  }

  noteProof({ peer, partitions, table, watermarks }: ProofNote): void {
    const proven = this.#tables.get(table)
    if (proven === undefined) return
    const sound = this.#sound(partitions, peer)
    this.#watermarks.noteProof(sound, peer, proven)
    const equal = new Set(sound)
    for (const { kind, name, partitions: named } of watermarks) {
      const vector = kind === 'watermark' ? this.#watermarks.vectorNamed(name) : null
      if (vector === null) continue
      for (const partition of named) {
        if (equal.has(partition)) this.#watermarks.join(partition, vector, proven)
      }
    }
  }

  /** Those whose rows were not found damaged since the exchange began. */
  #sound(partitions: readonly number[], peer: string): number[] {
    const begun = this.#begun.get(peer)
    return partitions.filter(
      (partition) => (begun?.get(partition) ?? 0) === this.#watermarks.timesForgotten(partition)
    )
  }

  #noteBeginning(partitions: readonly number[], peer: string): void {
    const begun = this.#begun.get(peer) ?? new Map<number, number>()
    for (const partition of partitions) {
      const times = this.#watermarks.timesForgotten(partition)
      if (times > 0) begun.set(partition, times)
    }
    if (begun.size > 0) this.#begun.set(peer, begun)
  }

  #proofOffers(partitions: readonly number[], peer: string): FactOffer[] {
    const byPartition = new Map<number, PassedProof[]>()
    for (const { pair, table, partitions: where } of this.#watermarks.proofsFor(peer, partitions)) {
      for (const partition of where) {
        const proofs = byPartition.get(partition)
        if (proofs === undefined) byPartition.set(partition, [{ pair, table }])
        else proofs.push({ pair, table })
      }
    }
    const byBundle = new Map<string, { readonly proofs: PassedProof[]; readonly where: number[] }>()
    for (const [partition, proofs] of byPartition) {
      const what = proofs.map(({ pair, table }) => `${pair.a} ${pair.b} ${nameOfTable(table)}`)
      const known = byBundle.get(what.join())
      if (known === undefined) byBundle.set(what.join(), { proofs, where: [partition] })
      else known.where.push(partition)
    }
    return [...byBundle.values()].map(({ proofs, where }) => {
      const bundle = encodeBundle(proofs)
      const name = nameOf(bundle)
      keep(this.#bundles, name, bundle)
      return { kind: 'proofs', name, partitions: where }
    })
  }

  #hearBundle(bundle: Uint8Array, partitions: readonly number[]): void {
    for (const { pair, table } of decodeBundle(bundle)) {
      const proof: PairProof = { pair, table, partitions }
      this.#watermarks.hearProof(proof)
    }
  }

  #joinedWith(partition: number, name: FactName | null): WatermarkVector {
    const own = this.#watermarks.vector(partition)
    const theirs = name === null ? null : this.#watermarks.vectorNamed(name)
    if (theirs === null || theirs === own) return own
    const both = `${nameOfWatermark(own)} ${name}`
    const known = this.#joined.get(both) ?? joinWatermarks(own, theirs)
    keep(this.#joined, both, known)
    return known
  }
}

/** The one used longest ago goes. */
function keep<T>(map: Map<string, T>, name: string, value: T): void {
  map.delete(name)
  map.set(name, value)
  for (const oldest of map.keys()) {
    if (map.size <= factsKeptMax) return
    map.delete(oldest)
  }
}

function append(map: Map<string, number[]>, name: string, partition: number): void {
  const partitions = map.get(name)
  if (partitions === undefined) map.set(name, [partition])
  else partitions.push(partition)
}

/** tables | proofs: a pair and the number of its table. Pairs mostly share one table. */
function encodeBundle(proofs: readonly PassedProof[]): Buffer {
  const tables = [...new Set(proofs.map(({ table }) => table))]
  const writer = new ByteWriter().varint(tables.length)
  for (const table of tables) writer.lengthPrefixed(packTable(table))
  writer.varint(proofs.length)
  for (const { pair, table } of proofs) {
    writer.string(pair.a).string(pair.b).varint(tables.indexOf(table))
  }
  return writer.finish()
}

function decodeBundle(bytes: Uint8Array): PassedProof[] {
  const reader = new ByteReader(bytes)
  const tables: ReportTable[] = []
  for (let left = countOf(reader); left > 0; left--)
    tables.push(unpackTable(reader.lengthPrefixed()))
  const proofs: PassedProof[] = []
  for (let left = countOf(reader); left > 0; left--) {
    const pair = makePair(reader.string(), reader.string())
    const table = tables[reader.varint()]
    if (table === undefined) throw new DecodeError('a proof without its table')
    proofs.push({ pair, table })
  }
  reader.finish()
  return proofs
}

function countOf(reader: ByteReader): number {
  const count = reader.varint()
  if (count > proofsInBundleMax) throw new DecodeError(`${count} proofs at once`)
  return count
}
