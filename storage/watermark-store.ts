import { ByteReader, toHex } from '../core/bytes.ts'
import { hash64 } from '../core/hash.ts'
import type { AsideChange } from './aside-rows.ts'
import type { RowRange } from './keys.ts'
import type { Store } from './store.ts'

/**
 * What a node has proven, by partition. The contents (tables of reports, watermarks) are bytes to this store and are
 * shared by most partitions: so each is kept once, under the name that its own hash gives it, and lists of names say
 * which partition has which.
 *
 *   w | t                          the table of all reports
 *   w | c | name 8                 a content
 *   w | l | list | 0 | chunk 2     the names for 256 partitions, 8 bytes each; zeros: none
 */
const prefix = 0x77
/** All of it. */
export const watermarkRows: RowRange = { from: Buffer.of(prefix), to: Buffer.of(prefix + 1) }
const tableKind = 0x74
const contentKind = 0x63
const listKind = 0x6c

const nameBytes = 8
const chunkPartitions = 256
const walkLimit = 256
const noName = '0'.repeat(nameBytes * 2)

/** 16 hexadecimal digits. */
type Name = string

/** A list by its name, which holds no zero byte: the content that each partition has; null: none. */
export type PartitionNames = ReadonlyMap<string, readonly (Name | null)[]>

export interface StoredContents {
  /** Null: none, or damaged. */
  readonly table: Buffer | null
  readonly contents: ReadonlyMap<Name, Buffer>
  /** A damaged chunk counts as nothing known about its partitions. */
  readonly lists: PartitionNames
}

/** What a partition of a list has from now on. */
export interface ListChange {
  readonly list: string
  readonly partition: number
  readonly content: Buffer | null
}

/** Keeps what is known of watermarks on disk. Damage costs knowledge, which the next exchanges bring back. */
export class WatermarkStore {
  readonly #store: Store
  readonly #partitions: number
  readonly #lists = new Map<string, (Name | null)[]>()
  readonly #onDisk = new Set<Name>()

  constructor(store: Store, partitions: number) {
    this.#store = store
    this.#partitions = partitions
  }

  async load(): Promise<StoredContents> {
    const contents = new Map<Name, Buffer>()
    for await (const [key, content] of this.#rows(contentKind)) {
      if (content === null) continue
      const name = toHex(key.subarray(2))
      this.#onDisk.add(name)
      contents.set(name, content)
    }
    for await (const [key, content] of this.#rows(listKind)) {
      if (content !== null) this.#loadChunk(key, content)
    }
    return { table: this.#store.aside(tableKey), contents, lists: this.#lists }
  }

  saveTable(table: Uint8Array): void {
    this.#write([{ type: 'put', key: tableKey, content: table }])
  }

  /** Written in one batch, behind everything that was staged before. */
  saveLists(changes: readonly ListChange[]): void {
    const rows: AsideChange[] = []
    const chunks = new Map<string, { readonly list: string; readonly chunk: number }>()
    for (const { list, partition, content } of changes) {
      const name = content === null ? null : toHex(hash64(content))
      if (name !== null && content !== null && !this.#onDisk.has(name)) {
        this.#onDisk.add(name)
        rows.push({ type: 'put', key: contentKey(name), content })
      }
      this.#list(list)[partition] = name
      const chunk = Math.floor(partition / chunkPartitions)
      chunks.set(`${list} ${chunk}`, { list, chunk })
    }
    for (const { list, chunk } of chunks.values()) {
      rows.push({
        type: 'put',
        key: chunkKey(list, chunk),
        content: this.#encodeChunk(list, chunk)
      })
    }
    this.#write([...rows, ...this.#unnamed()])
  }

  /** Contents that no list names any more; looked for only where there are many. */
  #unnamed(): AsideChange[] {
    if (this.#onDisk.size <= contentsKeptMax) return []
    const named = new Set([...this.#lists.values()].flat())
    const rows: AsideChange[] = []
    for (const name of this.#onDisk) {
      if (named.has(name)) continue
      this.#onDisk.delete(name)
      rows.push({ type: 'del', key: contentKey(name) })
    }
    return rows
  }

  // A batch that fails stops the node, which says so itself; and what was learned in the moment that the store closed is
  // forgotten, as a crash would have it.
  #write(rows: readonly AsideChange[]): void {
    if (rows.length === 0) return
    const change = async () => this.#store.changeAside(rows)
    change().catch(() => {})
  }

  #list(list: string): (Name | null)[] {
    let names = this.#lists.get(list)
    if (names === undefined) {
      names = new Array<Name | null>(this.#partitions).fill(null)
      this.#lists.set(list, names)
    }
    return names
  }

  #encodeChunk(list: string, chunk: number): Buffer {
    const first = chunk * chunkPartitions
    const names = this.#list(list).slice(first, first + chunkPartitions)
    return Buffer.from(names.map((name) => name ?? noName).join(''), 'hex')
  }

  #loadChunk(key: Buffer, content: Buffer): void {
    const reader = new ByteReader(key, 2)
    const list = reader.latin1(reader.remaining - 3)
    const first = key.readUInt16BE(key.length - 2) * chunkPartitions
    const names = this.#list(list)
    for (let i = 0; (i + 1) * nameBytes <= content.length; i++) {
      const name = toHex(content.subarray(i * nameBytes, (i + 1) * nameBytes))
      if (name !== noName && first + i < this.#partitions) names[first + i] = name
    }
  }

  async *#rows(kind: number): AsyncGenerator<readonly [Buffer, Buffer | null]> {
    const range: RowRange = { from: Buffer.of(prefix, kind), to: Buffer.of(prefix, kind + 1) }
    let from: Buffer | null = range.from
    while (from !== null) {
      const { rows, next } = await this.#store.walkAside({ from, to: range.to }, walkLimit)
      for (const { key, content } of rows) yield [key, content]
      from = next
    }
  }
}

// Beyond it, what no list names is looked for and deleted.
const contentsKeptMax = 64

const tableKey = Buffer.of(prefix, tableKind)

function contentKey(name: Name): Buffer {
  return Buffer.concat([Buffer.of(prefix, contentKind), Buffer.from(name, 'hex')])
}

function chunkKey(list: string, chunk: number): Buffer {
  const head = Buffer.of(prefix, listKind)
  const tail = Buffer.of(0, chunk >>> 8, chunk & 0xff)
  return Buffer.concat([head, Buffer.from(list, 'latin1'), tail])
}
