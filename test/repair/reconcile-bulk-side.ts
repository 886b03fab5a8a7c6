import { hash128 } from '../../core/hash.ts'
import type {
  LeafListing,
  PartitionSnapshot,
  RangeSide,
  RowOutcome,
  RowSlice,
  ShippedRow,
  SliceRequest,
  WantedRow
} from '../../repair/reconcile/range-side.ts'
import { rowBytes } from '../../repair/reconcile/wire-parts.ts'
import { leafOf, partitionOf, tokenOf } from '../../ring/token.ts'
import { makeObjectKey, type ObjectKey } from '../../storage/keys.ts'
import { encodeObject } from '../../storage/object-codec.ts'
import type { Version, Versions } from '../../storage/version.ts'
import { makeActor } from '../../storage/version-vector.ts'

const leafCount = 1024
const bucket = Buffer.from('bulk')

/** Answers with what was there before. */
function increase(numbers: Uint32Array, at: number, by: number): number {
  const before = numbers[at] ?? 0
  numbers[at] = before + by
  return before
}

/** Which keys there are, and in which leaves: the same for all replicas of them. */
export class Population {
  readonly partitionCount: number
  readonly size: number
  readonly leafStarts: Uint32Array
  readonly members: Uint32Array
  readonly digests: readonly [Buffer, Buffer]

  constructor(size: number, partitionCount: number) {
    this.size = size
    this.partitionCount = partitionCount
    const leaves = new Uint32Array(size)
    const starts = new Uint32Array(partitionCount * leafCount + 1)
    for (let i = 0; i < size; i++) {
      const token = tokenOf(bucket, this.#name(i))
      const leaf = leafOf(token, partitionCount, leafCount)
      leaves[i] = partitionOf(token, partitionCount) * leafCount + leaf
      increase(starts, (leaves[i] ?? 0) + 1, 1)
    }
    for (let n = 1; n < starts.length; n++) increase(starts, n, starts[n - 1] ?? 0)
    const next = starts.slice()
    const members = new Uint32Array(size)
    for (let i = 0; i < size; i++) members[increase(next, leaves[i] ?? 0, 1)] = i
    this.leafStarts = starts
    this.members = members
    this.digests = [Buffer.alloc(size * 16), Buffer.alloc(size * 16)]
    for (const [generation, digests] of this.digests.entries()) {
      const seed = Buffer.alloc(5)
      for (let i = 0; i < size; i++) {
        seed.writeUInt32BE(i)
        seed[4] = generation
        digests.set(hash128(seed), i * 16)
      }
    }
  }

  #name(i: number): Buffer {
    return Buffer.from(`user:${String(i).padStart(9, '0')}`)
  }

  keyOf(i: number): ObjectKey {
    const name = this.#name(i)
    return makeObjectKey(tokenOf(bucket, name), bucket, name)
  }

  indexOf({ key }: ObjectKey): number {
    return Number(Buffer.from(key).subarray(5).toString())
  }

  membersOf(partition: number, leaf: number): Uint32Array {
    const number = partition * leafCount + leaf
    return this.members.subarray(this.leafStarts[number], this.leafStarts[number + 1])
  }

  /** One version, the later overwriting the earlier, as three nodes would have minted them. */
  versionsOf(i: number, generation: number): Versions {
    // A row that was new to its coordinator has an epoch of its own.
    const node = `node${i % 3}...`
    const first = { actor: makeActor(node, i + 1), counter: i + 1 }
    const second = i + 1 + this.size
    const later = { actor: makeActor(node, second), counter: second }
    const dot = generation === 0 ? first : later
    const past = new Map(generation === 0 ? [] : [[first.actor, first.counter]])
    const value = Buffer.alloc(256, i)
    const version: Version = {
      dot,
      past,
      tombstone: false,
      contentType: 'application/octet-stream',
      meta: [],
      timeMs: 900_000,
      expiresAtMs: 0,
      size: value.length,
      value,
      contentHash: Buffer.alloc(16)
    }
    return [version]
  }
}

let snapshots = 0

/** Only the later version has a past: format | count | flags | actor 14 | counter | entries of the past. */
function generationOf(object: Uint8Array): number {
  let at = 3 + 14
  while ((object[at] ?? 0) >= 0x80) at++
  return object[at + 1] === 0 ? 0 : 1
}

/** A replica that keeps nothing of a row but its generation (0 or 1; 2 for absent), so that a million cost little. */
export class BulkSide implements RangeSide {
  readonly partitionCount: number
  readonly leafCount = leafCount
  readonly population: Population
  readonly generations: Uint8Array

  constructor(population: Population, generation: number) {
    this.population = population
    this.partitionCount = population.partitionCount
    this.generations = new Uint8Array(population.size).fill(generation)
  }

  async snapshots(partitions: readonly number[]): Promise<readonly PartitionSnapshot[]> {
    return partitions.map((partition) => this.#snapshot(partition))
  }

  #snapshot(partition: number): PartitionSnapshot {
    let keys = 0
    const levels: Buffer[] = [Buffer.alloc(leafCount * 16)]
    const leaves = levels[0] ?? Buffer.alloc(0)
    for (let leaf = 0; leaf < leafCount; leaf++) {
      for (const i of this.population.membersOf(partition, leaf)) {
        const digests = this.population.digests[this.generations[i] ?? 0]
        if (digests === undefined) continue
        keys++
        for (let b = 0; b < 16; b++) {
          leaves[leaf * 16 + b] = (leaves[leaf * 16 + b] ?? 0) ^ (digests[i * 16 + b] ?? 0)
        }
      }
    }
    for (const fanout of [4, 16, 16]) {
      const below = levels[0] ?? leaves
      const level = Buffer.alloc(below.length / fanout)
      for (let n = 0; n * 16 < level.length; n++) {
        level.set(hash128(below.subarray(n * 16 * fanout, (n + 1) * 16 * fanout)), n * 16)
      }
      levels.unshift(level)
    }
    const node = (level: number, index: number) =>
      (levels[level] ?? leaves).subarray(index * 16, index * 16 + 16)
    return { id: ++snapshots, partition, keys, root: node(0, 0), node }
  }

  async list(partition: number, numbers: readonly number[]): Promise<readonly LeafListing[]> {
    return numbers.map((leaf) => {
      const held = [...this.population.membersOf(partition, leaf)].filter((i) => this.#has(i))
      const entries = held.map((i) => {
        const generation = this.generations[i] ?? 0
        const entryDigest = this.population.digests[generation === 1 ? 1 : 0].subarray(
          i * 16,
          i * 16 + 16
        )
        return {
          key: this.population.keyOf(i),
          versions: this.population.versionsOf(i, generation),
          entryDigest
        }
      })
      return { partition, leaf, entries }
    })
  }

  #has(i: number): boolean {
    return (this.generations[i] ?? 2) < 2
  }

  #row(i: number): ShippedRow {
    const versions = this.population.versionsOf(i, this.generations[i] ?? 0)
    return { key: this.population.keyOf(i), object: encodeObject(versions, 'whole') }
  }

  async readRows(wanted: readonly WantedRow[]): Promise<readonly ShippedRow[]> {
    return wanted.map(({ key }) => this.#row(this.population.indexOf(key)))
  }

  async slice({ partition, leafFrom, leafTo, from, bytesMax }: SliceRequest): Promise<RowSlice> {
    const rows: ShippedRow[] = []
    let bytes = 0
    const { population } = this
    for (let leaf = from === null ? leafFrom : from.readUInt32BE(); leaf < leafTo; leaf++) {
      if (bytes >= bytesMax) {
        const next = Buffer.alloc(4)
        next.writeUInt32BE(leaf)
        return { rows, next }
      }
      for (const i of population.membersOf(partition, leaf)) {
        if (!this.#has(i)) continue
        const row = this.#row(i)
        rows.push(row)
        bytes += rowBytes(row)
      }
    }
    return { rows, next: null }
  }

  /** Nothing comes in here while leaves are compared, so that what a listing lacked is lacking still. */
  held(): never[] {
    return []
  }

  async receive(rows: readonly ShippedRow[]): Promise<readonly RowOutcome[]> {
    return rows.map(({ key, object }): RowOutcome => {
      const generation = generationOf(object)
      const i = this.population.indexOf(key)
      if (!this.#has(i) || generation > (this.generations[i] ?? 0)) this.generations[i] = generation
      return { kind: 'taken' }
    })
  }

  modeOf() {
    return 'siblings' as const
  }
  entryDigest(): Uint8Array {
    throw new Error('no version is absent here')
  }
  collectable(): boolean {
    return false
  }
  isReported(): boolean {
    return true
  }
  offers() {
    return []
  }
  knows(): boolean {
    return true
  }
  fact() {
    return null
  }
  learn(): void {}
  async verify(): Promise<void> {}
  async setAside(): Promise<void> {}
  async sync(): Promise<void> {}
  async prepareProof(): Promise<void> {}
  async noteProof(): Promise<void> {}
}
