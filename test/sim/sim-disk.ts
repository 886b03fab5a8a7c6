import { MemoryLevel } from 'memory-level'
import type { Timers } from '../../core/ports.ts'
import type { Database, DatabaseOperation } from '../../storage/database.ts'
import { isHintRowKey } from '../../storage/hint-row.ts'
import { adaptLevel } from '../../storage/level.ts'
import { survivesSalvage } from '../../storage/salvaged-rows.ts'
import type { SeededRandom } from './seeded-random.ts'

/** What lies on a platter: rows by their key as a string of characters below 256. */
export type DiskImage = Map<string, Buffer>

export interface SimDiskOptions {
  readonly image: DiskImage
  readonly random: SeededRandom
  /** How long a batch takes, drawn anew for each. */
  readonly writeMs: { readonly min: number; readonly max: number }
}

const keptBySalvage = 0.8
const flipsInKeys = 0.25
const tombstoneRowKind = 't'.charCodeAt(0)

interface Unsynced {
  readonly operations: readonly DatabaseOperation[]
}

/**
 * The disk of one node: memory-level in front, and beside it what would be left if the power failed now. A batch takes
 * virtual time; what was not synced may be lost, from its end. After a write error nothing more reaches the platter,
 * whatever is reported, as a log with a hole in it is read up to the hole.
 */
export class SimDisk {
  readonly #random: SeededRandom
  readonly #writeMs: SimDiskOptions['writeMs']
  readonly #history = new Map<string, Buffer>()
  readonly #turnedOld = new Set<string>()
  #image: DiskImage
  #hintRows: number
  #unsynced: Unsynced[] = []
  #level: MemoryLevel<Buffer, Buffer> | null = null
  #session = 0
  #failNextBatch = false
  #full = false
  #holed = false
  #isSalvaged = false
  /** An object's row has no tombstone any more; told what it was and what it is. */
  onTombstoneGone: (rowId: string, before: Buffer, after: Buffer | undefined) => void = () => {}
  /** A hint is gone for good; told its row. */
  onHintGone: (row: Buffer, before: Buffer) => void = () => {}

  constructor(options: SimDiskOptions) {
    this.#image = new Map(options.image)
    this.#hintRows = hintRowsIn(options.image)
    this.#random = options.random
    this.#writeMs = options.writeMs
  }

  /** Opens the database for one life of the node; batches wait on that life's timers. */
  async open(timers: Timers): Promise<Database> {
    const session = ++this.#session
    this.#isSalvaged = false
    this.#holed = false
    const level = new MemoryLevel<Buffer, Buffer>({
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      storeEncoding: 'buffer'
    })
    await level.open()
    const database = adaptLevel(level)
    const rows = [...this.#image].map(
      ([id, value]) => ({ type: 'put', key: Buffer.from(id, 'latin1'), value }) as const
    )
    if (rows.length > 0) await database.batch(rows, { sync: true })
    this.#level = level
    return {
      getSync: (key) => database.getSync(key),
      slice: (from, to, limit) => database.slice(from, to, limit),
      batch: (operations, { sync }) => this.#batch(session, database, timers, operations, sync),
      close: async () => {
        if (session !== this.#session) return
        this.#sync()
        this.#level = null
        await database.close()
      }
    }
  }

  /** The power fails: unsynced batches are lost from some point on, and one in flight may or may not have arrived. */
  crash(): void {
    this.#session++
    const kept = this.#random.int(this.#unsynced.length + 1)
    for (const { operations } of this.#unsynced.slice(0, kept)) this.#apply(operations)
    this.#unsynced = []
    this.#level = null
  }

  /** One row of what a power failure would leave for certain. */
  peek(id: string): Buffer | undefined {
    return this.#image.get(id)
  }

  /** Whether a power failure now would leave anything that is kept for another node. */
  get hasHints(): boolean {
    return this.#hintRows > 0
  }

  /** One row as the node would read it now, staged rows aside. */
  look(id: string): Buffer | undefined {
    return this.#level?.getSync(Buffer.from(id, 'latin1'))
  }

  /** The keys of all rows of a kind, which the first character of a key tells. */
  rowsOf(kind: string): string[] {
    return [...this.#image.keys()].filter((id) => id.startsWith(kind))
  }

  /** As `rowsOf`, with those that were written and not synced. */
  rowsWritten(kind: string): string[] {
    const ids = new Set(this.rowsOf(kind))
    for (const { operations } of this.#unsynced) {
      for (const { key } of operations) {
        const id = key.toString('latin1')
        if (id.startsWith(kind)) ids.add(id)
      }
    }
    return [...ids]
  }

  /** A copy of what a power failure would leave for certain. */
  copy(): DiskImage {
    return new Map(this.#image)
  }

  /** Only while the node is down. */
  replace(image: DiskImage): void {
    this.#image = new Map(image)
    this.#hintRows = hintRowsIn(image)
    this.#unsynced = []
  }

  /**
   * What is left of a damaged database, only while the node is down: most rows as they are, some as they were in an older
   * image, which may also bring deleted ones back, and some not at all.
   */
  salvage(older: DiskImage): void {
    const image: DiskImage = new Map()
    for (const id of [...new Set([...this.#image.keys(), ...older.keys()])].sort()) {
      const isKept = this.#random.chance(keptBySalvage)
      const from = isKept ? this.#image : this.#random.chance(0.5) ? older : null
      const value = from?.get(id)
      if (value !== undefined && survivesSalvage(Buffer.from(id, 'latin1'))) image.set(id, value)
    }
    this.replace(image)
    this.#isSalvaged = true
  }

  /** Whether the database has not been opened since it was salvaged. */
  get isSalvaged(): boolean {
    return this.#isSalvaged
  }

  failNextBatch(): void {
    this.#failNextBatch = true
  }

  /** No more errors from now on; what a past one has torn stays torn until the database is opened anew. */
  heal(): void {
    this.#failNextBatch = false
    this.#full = false
  }

  setFull(full: boolean): void {
    this.#full = full
  }

  get isFull(): boolean {
    return this.#full
  }

  /** Whether the object's row has become what it was before, at some time. */
  hasTurnedOld(row: Buffer): boolean {
    return this.#turnedOld.has(row.toString('latin1'))
  }

  /** Makes something else of one row of data, behind the back of the node. Answers whether there was one. */
  async tamper(how: 'forget' | 'flip' | 'old'): Promise<boolean> {
    const ids = [...this.#image.keys()].filter((id) => /^[ov]/.test(id))
    if (ids.length === 0) return false
    const id = this.#random.pick(ids.sort())
    const key = Buffer.from(id, 'latin1')
    if (how === 'flip' && this.#random.chance(flipsInKeys)) return this.#flipKey(id)
    const value =
      how === 'forget' ? null : how === 'flip' ? this.#flipped(id) : this.#history.get(id)
    if (value === undefined) return false
    if (how === 'old') this.#turnedOld.add(id)
    if (value === null) {
      this.#image.delete(id)
      await this.#level?.del(key)
    } else {
      this.#image.set(id, value)
      await this.#level?.put(key, value)
    }
    return true
  }

  /** The row lies under another key now, of the same kind. */
  async #flipKey(id: string): Promise<boolean> {
    const value = this.#image.get(id)
    if (value === undefined) return false
    const key = Buffer.from(id, 'latin1')
    const at = 1 + this.#random.int(key.length - 1)
    const flipped = Buffer.from(key)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << this.#random.int(8))
    this.#image.delete(id)
    this.#image.set(flipped.toString('latin1'), value)
    await this.#level?.batch([
      { type: 'del', key },
      { type: 'put', key: flipped, value }
    ])
    return true
  }

  #flipped(id: string): Buffer | undefined {
    const value = this.#image.get(id)
    if (value === undefined) return undefined
    const flipped = Buffer.from(value)
    const at = this.#random.int(flipped.length)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << this.#random.int(8))
    return flipped
  }

  #batch(
    session: number,
    database: Database,
    timers: Timers,
    operations: DatabaseOperation[],
    sync: boolean
  ): Promise<void> {
    const fails = this.#failNextBatch || this.#full
    this.#failNextBatch = false
    if (fails) this.#holed = true
    // From the moment it is handed over, a crash may find the batch on the platter, or not.
    const entry: Unsynced = { operations }
    if (!this.#holed) this.#unsynced.push(entry)
    const delayMs = this.#random.between(this.#writeMs.min, this.#writeMs.max)
    return new Promise((resolve, reject) => {
      timers.set(() => {
        if (session !== this.#session) return
        if (fails)
          return reject(new Error(this.#full ? 'no space left on device' : 'input/output error'))
        database.batch(operations, { sync }).then(() => {
          if (session !== this.#session) return
          if (sync && !this.#holed) this.#syncUpTo(entry)
          resolve()
        }, reject)
      }, delayMs)
    })
  }

  #syncUpTo(entry: Unsynced): void {
    const end = this.#unsynced.indexOf(entry) + 1
    for (const { operations } of this.#unsynced.splice(0, end)) this.#apply(operations)
  }

  #sync(): void {
    for (const { operations } of this.#unsynced) this.#apply(operations)
    this.#unsynced = []
  }

  #apply(operations: readonly DatabaseOperation[]): void {
    const gone = operations.flatMap(({ type, key }) => {
      if (type !== 'del' || key[0] !== tombstoneRowKind) return []
      const rowId = `o${key.toString('latin1', 1)}`
      const before = this.#image.get(rowId)
      return before === undefined ? [] : [{ rowId, before }]
    })
    for (const operation of operations) {
      const id = operation.key.toString('latin1')
      const before = this.#image.get(id)
      if (before !== undefined) this.#history.set(id, before)
      if (operation.type === 'put') this.#image.set(id, operation.value)
      else this.#image.delete(id)
      if (!isHintRowKey(operation.key)) continue
      if (operation.type === 'put') this.#hintRows += before === undefined ? 1 : 0
      else if (before !== undefined) {
        this.#hintRows--
        this.onHintGone(operation.key, before)
      }
    }
    for (const { rowId, before } of gone) {
      this.onTombstoneGone(rowId, before, this.#image.get(rowId))
    }
  }
}

function hintRowsIn(image: DiskImage): number {
  return [...image.keys()].filter((id) => isHintRowKey(Buffer.from(id, 'latin1'))).length
}
