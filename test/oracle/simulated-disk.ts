import { MemoryLevel } from 'memory-level'
import { asBuffer } from '../../core/bytes.ts'
import type { Database, DatabaseOperation } from '../../storage/database.ts'
import { adaptLevel } from '../../storage/level.ts'

/** The rows that lie on a disk, by their keys as strings of characters below 256. */
export type DiskImage = ReadonlyMap<string, Buffer>

/**
 * A database in memory that knows which of its batches have been synced. A crash leaves the synced rows and a
 * beginning of the unsynced batches, as the log of a real one does.
 */
export class SimulatedDisk implements Database {
  readonly #database: Database
  readonly #synced: Map<string, Buffer>
  #unsynced: (readonly DatabaseOperation[])[] = []
  #losingPower = false

  private constructor(database: Database, image: DiskImage) {
    this.#database = database
    this.#synced = new Map(image)
  }

  static async open(image: DiskImage): Promise<SimulatedDisk> {
    const level = new MemoryLevel<Buffer, Buffer>({
      keyEncoding: 'buffer',
      valueEncoding: 'buffer'
    })
    await level.open()
    const disk = new SimulatedDisk(adaptLevel(level), image)
    await disk.#database.batch(
      [...image].map(([key, value]) => ({ type: 'put', key: Buffer.from(key, 'latin1'), value })),
      { sync: true }
    )
    return disk
  }

  getSync(key: Buffer): Buffer | undefined {
    return this.#database.getSync(key)
  }

  async batch(
    operations: DatabaseOperation[],
    { sync }: { readonly sync: boolean }
  ): Promise<void> {
    if (this.#losingPower) {
      this.#unsynced.push(operations)
      return new Promise(() => {})
    }
    await this.#database.batch(operations, { sync })
    this.#unsynced.push(operations)
    if (sync) this.sync()
  }

  slice(from: Buffer, to: Buffer, limit: number): Promise<[Buffer, Buffer][]> {
    return this.#database.slice(from, to, limit)
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  /** What a copy of the disk would hold that was taken now. */
  get image(): DiskImage {
    return new Map(this.#synced)
  }

  get unsyncedBatches(): number {
    return this.#unsynced.length
  }

  /** The operating system writes out what it was handed. */
  sync(): void {
    this.#apply(this.#unsynced.length)
  }

  /** From now on batches may reach the platter but nobody is told: the moment before a crash. */
  losePower(): void {
    this.#losingPower = true
  }

  /** What is left when the power fails and `batches` of the unsynced ones had been written out by then. */
  crash(batches: number): DiskImage {
    this.#apply(batches)
    return this.image
  }

  /** Makes something else of the rows under a prefix, behind the back of whoever uses the database. */
  async tamper(prefix: Buffer, change: (value: Buffer) => Buffer | null): Promise<void> {
    this.sync()
    for (const [key, value] of this.#synced) {
      if (!key.startsWith(prefix.toString('latin1'))) continue
      const row = Buffer.from(key, 'latin1')
      const changed = change(Buffer.from(value))
      const operation: DatabaseOperation =
        changed === null ? { type: 'del', key: row } : { type: 'put', key: row, value: changed }
      await this.batch([operation], { sync: true })
    }
  }

  #apply(batches: number): void {
    for (const operation of this.#unsynced.splice(0, batches).flat()) {
      const key = asBuffer(operation.key).toString('latin1')
      if (operation.type === 'put') this.#synced.set(key, operation.value)
      else this.#synced.delete(key)
    }
  }
}
