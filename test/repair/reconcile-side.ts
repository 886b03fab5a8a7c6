import { AnnealError, DecodeError } from '../../core/errors.ts'
import { createHasher } from '../../core/hash.ts'
import type {
  AbsenceRule,
  FactKind,
  FactName,
  FactOffer,
  LeafListing,
  ListedRow,
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
import { rowBytes } from '../../repair/reconcile/wire-parts.ts'
import { tokenOf } from '../../ring/token.ts'
import { HashTrees } from '../../storage/hash-trees.ts'
import { makeObjectKey, type ObjectKey } from '../../storage/keys.ts'
import { decodeForeignObject, encodeObject } from '../../storage/object-codec.ts'
import {
  type ConflictMode,
  hashContent,
  hashObject,
  merge,
  type Version,
  type Versions
} from '../../storage/version.ts'
import { compareDots, type Dot, makeActor } from '../../storage/version-vector.ts'

const hasher = await createHasher(16, Buffer.alloc(32, 7))

export const tableName: FactName = 'aa'.repeat(8)
export const tableContent = Buffer.from('the table')

export function keyOf(bucket: string, key: string): ObjectKey {
  const [b, k] = [Buffer.from(bucket), Buffer.from(key)]
  return makeObjectKey(tokenOf(b, k), b, k)
}

let counter = 0

/** A version that nobody had seen before, `past` being what its writer had. */
export function version(
  node: string,
  overwrites: Versions = [],
  more: Partial<Version> = {}
): Version {
  const past = new Map<string, number>()
  for (const { dot, past: older } of overwrites) {
    for (const [actor, n] of [...older, [dot.actor, dot.counter] as const]) {
      past.set(actor, Math.max(past.get(actor) ?? 0, n))
    }
  }
  const dot = { actor: makeActor(node.padEnd(8, '.'), 1), counter: ++counter }
  const value = more.tombstone === true ? null : (more.value ?? Buffer.from(`value ${counter}`))
  const payload = {
    tombstone: false,
    contentType: '',
    meta: [],
    timeMs: 1000,
    expiresAtMs: 0,
    ...more,
    size: value?.length ?? 0,
    value
  }
  return { ...payload, dot, past, contentHash: hashContent(dot, payload) }
}

interface HeldRow {
  readonly key: ObjectKey
  versions: Versions
  objectHash: Uint8Array
}

/** A replica in memory, with the real trees, whose rows a test may change behind any exchange's back. */
export class MemorySide implements RangeSide {
  readonly partitionCount: number
  readonly leafCount = 1024
  readonly trees: HashTrees
  readonly #leaves = new Map<number, Map<string, HeldRow>>()
  readonly proofs: ProofNote[] = []
  readonly prepared: PreparedProof[] = []
  /** Of those prepared, the ones that would be there after a crash. */
  durablyPrepared: readonly PreparedProof[] = []
  readonly syncedRows: { rows: number } = { rows: -1 }
  readonly learned: FactOffer[] = []
  readonly facts = new Map<string, Uint8Array>([[`table ${tableName}`, tableContent]])
  readonly aside: { key: ObjectKey; dots: readonly Dot[] }[] = []
  /** Partitions whose trees were recomputed, one after the other. */
  readonly verified: number[] = []
  /** Rows taken in, in all. */
  received = 0
  size = 0
  mode: ConflictMode = 'siblings'
  /** Judges what arrives; null: taken. */
  judge: (row: ShippedRow) => RowOutcome | null = () => null
  /** What this replica's watermark covers; the peer's has the same in these tests. */
  watermark: FactName | null = null
  covered: (version: Version) => boolean = () => false
  reported: (dot: Dot) => boolean = () => true
  /** Called in each call that a script makes, by name: where a test interferes. */
  onCall: (name: string) => void = () => {}

  constructor(partitionCount = 16) {
    this.partitionCount = partitionCount
    this.trees = new HashTrees({ partitions: partitionCount, hasher })
    for (let p = 0; p < partitionCount; p++) this.trees.load(p, null)
  }

  put(key: ObjectKey, arriving: Versions): void {
    const leaf = this.#leafOf(key)
    const held = leaf.get(key.id)
    const versions = merge(held?.versions ?? [], arriving, this.mode)
    this.set(key, versions)
  }

  set(key: ObjectKey, versions: Versions): void {
    const leaf = this.#leafOf(key)
    const held = leaf.get(key.id)
    const objectHash = hashObject(versions)
    this.trees.change(key, held?.objectHash ?? null, versions.length === 0 ? null : objectHash)
    if (versions.length === 0) leaf.delete(key.id)
    else leaf.set(key.id, { key, versions, objectHash })
    this.size += (versions.length === 0 ? 0 : 1) - (held === undefined ? 0 : 1)
  }

  get(key: ObjectKey): Versions {
    return this.#leafOf(key).get(key.id)?.versions ?? []
  }

  keys(): ObjectKey[] {
    return [...this.#leaves.values()].flatMap((leaf) => [...leaf.values()].map(({ key }) => key))
  }

  roots(): string[] {
    const partitions = Array.from({ length: this.partitionCount }, (_, p) => p)
    return partitions.map((p) => Buffer.from(this.trees.root(p)).toString('hex'))
  }

  async snapshots(partitions: readonly number[]): Promise<readonly PartitionSnapshot[]> {
    this.onCall('snapshots')
    return partitions.map((partition) => this.trees.snapshot(partition))
  }

  async verify(partitions: readonly number[]): Promise<void> {
    this.onCall('verify')
    this.verified.push(...partitions)
  }

  async list(partition: number, leaves: readonly number[]): Promise<readonly LeafListing[]> {
    this.onCall('list')
    return leaves.map((leaf) => ({ partition, leaf, entries: this.#listed(partition, leaf) }))
  }

  #listed(partition: number, leaf: number): ListedRow[] {
    const rows = [...(this.#leaves.get(partition * 1024 + leaf)?.values() ?? [])]
    rows.sort((a, b) => Buffer.compare(a.key.row, b.key.row))
    return rows.map(({ key, versions, objectHash }) => {
      return { key, versions, entryDigest: this.entryDigest(key, objectHash) }
    })
  }

  entryDigest(key: ObjectKey, objectHash: Uint8Array): Uint8Array {
    return this.trees.entryDigest(key.row, objectHash)
  }

  held(key: ObjectKey): Versions {
    return this.get(key)
  }

  async readRows(wanted: readonly WantedRow[]): Promise<readonly (ShippedRow | null)[]> {
    this.onCall('read')
    return wanted.map(({ key, dots }) => {
      const held = this.get(key)
      const isWanted = ({ dot }: Version) =>
        dots === null || dots.some((d) => compareDots(d, dot) === 0)
      const versions = held.filter(isWanted)
      return versions.length === 0 ? null : { key, object: encodeObject(versions, 'whole') }
    })
  }

  async slice(request: SliceRequest): Promise<RowSlice> {
    this.onCall('slice')
    const { partition, leafFrom, leafTo, from, bytesMax, absence } = request
    const rows: ShippedRow[] = []
    let bytes = 0
    const first = from === null ? leafFrom : this.trees.placeOf(from).leaf
    for (let leaf = first; leaf < leafTo; leaf++) {
      for (const { key, versions } of this.#listed(partition, leaf)) {
        if (from !== null && Buffer.compare(key.row, from) < 0) continue
        if (bytes >= bytesMax) return { rows, next: key.row }
        const kept = versions.filter((v) => !this.collectable(partition, v, absence))
        if (kept.length === 0) continue
        const row = { key, object: encodeObject(kept, 'whole') }
        rows.push(row)
        bytes += rowBytes(row)
      }
    }
    return { rows, next: null }
  }

  modeOf(): ConflictMode {
    return this.mode
  }

  async receive(
    rows: readonly ShippedRow[],
    _peer: string,
    _isWanted: () => boolean
  ): ReturnType<RangeSide['receive']> {
    this.onCall('receive')
    return rows.map((row): RowOutcome => {
      const judged = this.judge(row)
      if (judged !== null) return judged
      this.received++
      this.put(row.key, decodeForeignObject(row.object))
      return { kind: 'taken' }
    })
  }

  async setAside(key: ObjectKey, dots: readonly Dot[]): Promise<void> {
    this.aside.push({ key, dots })
    const isAside = ({ dot }: Version) => dots.some((d) => compareDots(d, dot) === 0)
    this.set(
      key,
      this.get(key).filter((v) => !isAside(v))
    )
  }

  async sync(): Promise<void> {
    this.onCall('sync')
    this.syncedRows.rows = this.received
    this.durablyPrepared = [...this.prepared]
  }

  collectable(_: number, { tombstone, dot, ...rest }: Version, rule: AbsenceRule): boolean {
    const isKnown = this.watermark !== null || rule.watermark !== null
    return isKnown && tombstone && this.covered({ tombstone, dot, ...rest })
  }

  isReported(_: FactName, __: number, dot: Dot): boolean {
    return this.reported(dot)
  }

  offers(partitions: readonly number[]): readonly FactOffer[] {
    return this.watermark === null ? [] : [{ kind: 'watermark', name: this.watermark, partitions }]
  }

  knows({ kind, name }: FactOffer): boolean {
    return this.facts.has(`${kind} ${name}`)
  }

  fact(kind: FactKind, name: FactName): Uint8Array | null {
    return this.facts.get(`${kind} ${name}`) ?? null
  }

  learn(offer: FactOffer, content: Uint8Array): void {
    if (content.length === 0) throw new DecodeError('an empty fact')
    this.learned.push(offer)
    this.facts.set(`${offer.kind} ${offer.name}`, Buffer.from(content))
  }

  async prepareProof(prepared: PreparedProof): Promise<void> {
    this.onCall('prepareProof')
    this.prepared.push(prepared)
  }

  async noteProof(note: ProofNote): Promise<void> {
    this.onCall('noteProof')
    if (this.syncedRows.rows < this.received) {
      throw new AnnealError('internal', 'a proof is noted before the rows are on disk')
    }
    this.proofs.push(note)
  }

  #leafOf(key: ObjectKey): Map<string, HeldRow> {
    const { partition, leaf } = this.trees.leafOf(key)
    const number = partition * 1024 + leaf
    const rows = this.#leaves.get(number) ?? new Map<string, HeldRow>()
    this.#leaves.set(number, rows)
    return rows
  }
}

/** A side with so many rows: `key 0` and so on, of the bucket `b`. */
export function sideWith(rows: number): MemorySide {
  const side = new MemorySide()
  for (let i = 0; i < rows; i++) side.set(keyOf('b', `key ${i}`), [version('n1')])
  return side
}
