import { ByteReader, ByteWriter, toHex } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { hash128 } from '../core/hash.ts'
import type { AsideChange } from './aside-rows.ts'
import { type ObjectKey, parseObjectKey } from './keys.ts'
import { decodeObject, encodeObject } from './object-codec.ts'
import type { AsideSlice, Store } from './store.ts'
import type { Version } from './version.ts'
import { type Dot, encodeDot } from './version-vector.ts'

/**
 * Versions that came up again although all other replicas had done away with them. They are no part of the data any
 * more, and kept until an operator restores or drops them.
 *
 *   q | id 16   ->   format 1 | since 6 | key of the object's row | reason | from | object of the one version, whole
 */
const prefix = 0x71
const format = 1
const walkLimit = 64

export interface Quarantined {
  /** 32 hexadecimal digits, the same on every node that has the version in quarantine. */
  readonly id: string
  readonly key: ObjectKey
  /** With its value. */
  readonly version: Version
  readonly reason: string
  /** The node that it came from, or that found it here; empty where that is not known. */
  readonly from: string
  readonly sinceMs: number
}

export type ToQuarantine = Omit<Quarantined, 'id'>

export function quarantineId(key: ObjectKey, dot: Dot): string {
  const writer = new ByteWriter(32)
  encodeDot(writer, dot)
  return toHex(hash128(key.row, writer.finish()))
}

/** Bounded by bytes: what does not fit is refused, for now, by whoever wanted to put it here; nothing is ever dropped. */
export class QuarantineStore {
  readonly #store: Store
  readonly #bytesMax: number
  /** The size of each entry. */
  readonly #sizes = new Map<string, number>()
  #bytes = 0
  #loaded = false

  constructor(store: Store, bytesMax: number) {
    this.#store = store
    this.#bytesMax = bytesMax
  }

  get count(): number {
    return this.#sizes.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Finds out what there is; before it has ended nothing fits. */
  async load(): Promise<void> {
    let from: Buffer | null = Buffer.of(prefix)
    while (from !== null) {
      const slice: AsideSlice = await this.#store.walkAside({ from, to: end }, walkLimit)
      for (const { key, content } of slice.rows) {
        if (content !== null) this.#count(toHex(key.subarray(1)), content.length)
      }
      from = slice.next
    }
    this.#loaded = true
  }

  /** Whether all of these can be set aside. */
  fits(key: ObjectKey, versions: readonly Version[]): boolean {
    let bytes = this.#bytes
    for (const { size, past } of versions) bytes += size + past.size * 20 + key.row.length + 256
    return this.#loaded && bytes <= this.#bytesMax
  }

  /**
   * The rows that set these aside, to go into the batch that takes them out of, or keeps them from, the object's row.
   * The caller writes them in the same turn. One that is there already stays as it is.
   */
  add(entries: readonly ToQuarantine[]): AsideChange[] {
    return entries.flatMap((entry) => {
      const id = quarantineId(entry.key, entry.version.dot)
      if (this.#sizes.has(id)) return []
      const content = encodeEntry(entry)
      this.#count(id, content.length)
      return [{ type: 'put', key: rowKeyOf(id), content }]
    })
  }

  /** Null where there is none by that id, or it is damaged. */
  get(id: string): Quarantined | null {
    if (!idPattern.test(id)) return null
    const content = this.#store.aside(rowKeyOf(id))
    return content === null ? null : decodeEntry(id, content)
  }

  /** Up to `limit` of them, in the order of their ids, from the one after `after` on. */
  async list(limit: number, after = ''): Promise<readonly Quarantined[]> {
    const from = idPattern.test(after)
      ? Buffer.concat([rowKeyOf(after), Buffer.of(0)])
      : Buffer.of(prefix)
    const { rows } = await this.#store.walkAside({ from, to: end }, limit)
    return rows.flatMap(({ key, content }) =>
      content === null ? [] : [decodeEntry(toHex(key.subarray(1)), content)]
    )
  }

  /** Resolves once it is gone for good; false where there was none. */
  async drop(id: string): Promise<boolean> {
    const size = this.#sizes.get(id)
    if (size === undefined) return false
    this.#sizes.delete(id)
    this.#bytes -= size
    await this.#store.changeAside([{ type: 'del', key: rowKeyOf(id) }])
    return true
  }

  #count(id: string, size: number): void {
    this.#bytes += size - (this.#sizes.get(id) ?? 0)
    this.#sizes.set(id, size)
  }
}

const end = Buffer.of(prefix + 1)
const idPattern = /^[0-9a-f]{32}$/

function rowKeyOf(id: string): Buffer {
  return Buffer.concat([Buffer.of(prefix), Buffer.from(id, 'hex')])
}

function encodeEntry({ key, version, reason, from, sinceMs }: ToQuarantine): Buffer {
  return new ByteWriter(256 + version.size)
    .uint8(format)
    .uint48(sinceMs)
    .lengthPrefixed(key.row)
    .string(reason)
    .string(from)
    .bytes(encodeObject([version], 'whole'))
    .finish()
}

function decodeEntry(id: string, content: Buffer): Quarantined {
  const reader = new ByteReader(content)
  const found = reader.uint8()
  if (found !== format) throw new DecodeError(`quarantine format ${found}, not ${format}`)
  const sinceMs = reader.uint48()
  const key = parseObjectKey(Buffer.from(reader.lengthPrefixed()))
  const reason = reader.string()
  const from = reader.string()
  const [version] = decodeObject(reader.bytes(reader.remaining))
  if (version === undefined) throw new DecodeError('nothing in quarantine under this id')
  return { id, key, version, reason, from, sinceMs }
}
