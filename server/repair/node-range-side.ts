import { compareBytes } from '../../core/bytes.ts'
import { AnnealError, DecodeError } from '../../core/errors.ts'
import { leavesPerPartition, sliceRowsMax } from '../../core/limits.ts'
import type {
  AbsenceRule,
  FactKind,
  FactName,
  FactOffer,
  LeafListing,
  PartitionSnapshot,
  PreparedProof,
  ProofNote,
  RangeSide,
  RowOutcome,
  RowSlice,
  ShippedRow,
  SliceRequest,
  WantedRow
} from '../../repair/reconcile/range-side.ts'
import type { WatermarkFacts } from '../../repair/watermark-facts.ts'
import type { HashTrees } from '../../storage/hash-trees.ts'
import { type ObjectKey, rowAfter } from '../../storage/keys.ts'
import { encodeObject } from '../../storage/object-codec.ts'
import { DamagedRowError, type Store, type WalkedRow } from '../../storage/store.ts'
import type { TreeKeeper } from '../../storage/tree-keeper.ts'
import type { ConflictMode, Version, Versions } from '../../storage/version.ts'
import { compareDots, type Dot } from '../../storage/version-vector.ts'
import type { LocalReplica } from '../local-replica.ts'
import type { Reception } from '../reception.ts'

export interface NodeRangeSideOptions {
  readonly store: Store
  readonly trees: HashTrees
  readonly keeper: Pick<TreeKeeper, 'isReady' | 'verify' | 'listAll'>
  readonly local: Pick<LocalReplica, 'takeBytes'>
  readonly reception: Reception
  readonly facts: WatermarkFacts
  readonly isReplica: (partition: number) => boolean
  /** Why this node takes no writes at the moment; null where it does. */
  readonly writesRefused: () => AnnealError | null
  readonly modeOf: (key: ObjectKey) => ConflictMode
}

/** Beyond this the disk is behind, and what arrives is taken more slowly. */
const pendingBytesMax = 8 * 1024 * 1024

/** What an exchange needs of this node: its trees, its rows, and what it has proven. */
export class NodeRangeSide implements RangeSide {
  readonly partitionCount: number
  readonly leafCount = leavesPerPartition
  readonly #options: NodeRangeSideOptions

  constructor(options: NodeRangeSideOptions) {
    this.#options = options
    this.partitionCount = options.trees.partitions
  }

  async snapshots(partitions: readonly number[]): Promise<readonly (PartitionSnapshot | null)[]> {
    const { isReplica, keeper, trees } = this.#options
    return partitions.map((partition) =>
      isReplica(partition) && keeper.isReady(partition) ? trees.snapshot(partition) : null
    )
  }

  async verify(partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) await this.#options.keeper.verify(partition)
  }

  async list(partition: number, leaves: readonly number[]): Promise<readonly LeafListing[]> {
    const listings = await this.#options.keeper.listAll(partition, leaves)
    return listings.map(({ leaf, entries }) => ({ partition, leaf, entries }))
  }

  entryDigest(key: ObjectKey, objectHash: Uint8Array): Uint8Array {
    return this.#options.trees.entryDigest(key.row, objectHash)
  }

  held(key: ObjectKey): Versions {
    return orNone(() => this.#options.store.read(key)?.versions ?? null) ?? []
  }

  async readRows(wanted: readonly WantedRow[]): Promise<readonly (ShippedRow | null)[]> {
    return wanted.map(({ key, dots }) => this.#readRow(key, dots))
  }

  async slice(request: SliceRequest): Promise<RowSlice> {
    const { store, trees } = this.#options
    const { partition, leafFrom, leafTo, bytesMax, absence } = request
    const range = trees.rangeOf(partition, leafFrom, leafTo)
    const rows: ShippedRow[] = []
    let bytes = 0
    let from = request.from ?? range.from
    // No more than probably still go along: what is read beyond that is read again for the next request.
    let limit = sliceRowsMax
    // The peer names the place to go on at, and must not be able to name one of another partition.
    if (compareBytes(from, range.from) < 0) from = range.from
    while (compareBytes(from, range.to) < 0) {
      const found = await store.walk({ from, to: range.to }, Math.min(limit, sliceRowsMax))
      const before = { rows: rows.length, bytes }
      for (const walked of found.rows) {
        const row = this.#present(partition, walked, absence)
        if (row === null) continue
        rows.push(row)
        bytes += row.object.length + row.key.row.length
        if (bytes >= bytesMax) return { rows, next: rowAfter(walked.key.row) }
      }
      if (found.next === null) break
      from = found.next
      const bytesEach = (bytes - before.bytes) / (rows.length - before.rows)
      limit = bytesEach > 0 ? Math.ceil((bytesMax - bytes) / bytesEach) + 1 : sliceRowsMax
    }
    return { rows, next: null }
  }

  modeOf(key: ObjectKey): ConflictMode {
    return this.#options.modeOf(key)
  }

  async receive(
    rows: readonly ShippedRow[],
    peer: string,
    isWanted: () => boolean
  ): Promise<readonly (RowOutcome | Promise<RowOutcome>)[]> {
    const { store, writesRefused } = this.#options
    const refusal = writesRefused()
    if (refusal !== null) throw refusal
    if (store.pendingBytes > pendingBytesMax) await store.drained()
    if (!isWanted()) throw new AnnealError('not_ready', 'the exchange was ended')
    const outcomes: (RowOutcome | Promise<RowOutcome>)[] = []
    try {
      for (const row of rows) outcomes.push(this.#take(row, peer, isWanted))
    } catch (thrown) {
      // Rows about which others are being asked are still under way, and may fail as well.
      await Promise.allSettled(outcomes)
      throw thrown
    }
    return outcomes
  }

  setAside(key: ObjectKey, dots: readonly Dot[], peer: string): Promise<void> {
    return this.#options.reception.setAside(key, dots, peer)
  }

  sync(): Promise<void> {
    return this.#options.store.sync()
  }

  collectable(partition: number, version: Version, rule: AbsenceRule): boolean {
    return this.#options.facts.collectable(partition, version, rule)
  }

  isReported(table: FactName, partition: number, dot: Dot): boolean {
    return this.#options.facts.isReported(table, partition, dot)
  }

  offers(partitions: readonly number[], peer: string): readonly FactOffer[] {
    return this.#options.facts.offers(partitions, peer)
  }

  knows(offer: FactOffer): boolean {
    return this.#options.facts.knows(offer)
  }

  fact(kind: FactKind, name: FactName): Uint8Array | null {
    return this.#options.facts.fact(kind, name)
  }

  learn(offer: FactOffer, content: Uint8Array): void {
    this.#options.facts.learn(offer, content)
  }

  async prepareProof(prepared: PreparedProof): Promise<void> {
    this.#options.facts.prepareProof(prepared)
  }

  async noteProof(note: ProofNote): Promise<void> {
    this.#options.facts.noteProof(note)
  }

  #take(
    { key, object }: ShippedRow,
    peer: string,
    isWanted: () => boolean
  ): RowOutcome | Promise<RowOutcome> {
    try {
      return this.#options.local.takeBytes(key, object, peer, isWanted)
    } catch (thrown) {
      // One row that cannot be taken leaves the others as they are.
      if (thrown instanceof DecodeError) return { kind: 'refused', reason: thrown.message }
      if (!(thrown instanceof AnnealError) || thrown.code === 'internal') throw thrown
      return { kind: 'refused', reason: thrown.message }
    }
  }

  #readRow(key: ObjectKey, dots: readonly Dot[] | null): ShippedRow | null {
    const { store } = this.#options
    return orNone(() => {
      const row = store.read(key)
      if (row === null) return null
      if (dots === null) return { key, object: store.wholeObject(key, row) }
      const isWanted = ({ dot }: Version) => dots.some((other) => compareDots(dot, other) === 0)
      return this.#ship(key, row.versions.filter(isWanted))
    })
  }

  #present(partition: number, { key, row }: WalkedRow, rule: AbsenceRule): ShippedRow | null {
    const { store, facts } = this.#options
    if (row === null) return null
    const versions = row.versions.filter((version) => {
      const mayBeAbsent = version.tombstone || version.expiresAtMs > 0
      return !mayBeAbsent || !facts.collectable(partition, version, rule)
    })
    return orNone(() =>
      versions.length === row.versions.length
        ? { key, object: store.wholeObject(key, row) }
        : this.#ship(key, versions)
    )
  }

  #ship(key: ObjectKey, versions: Versions): ShippedRow | null {
    if (versions.length === 0) return null
    return { key, object: encodeObject(this.#options.store.withValues(key, versions), 'whole') }
  }
}

/** A row that is damaged counts as none: it is the other side that has what heals it. */
function orNone<T>(read: () => T | null): T | null {
  try {
    return read()
  } catch (thrown) {
    if (thrown instanceof DamagedRowError) return null
    throw thrown
  }
}
