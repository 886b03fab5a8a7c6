import type { Database, DatabaseOperation } from '../../storage/database.ts'

/** A batch that was handed to the database and waits for the test to say what becomes of it. */
export interface HeldBatch {
  readonly operations: readonly DatabaseOperation[]
  readonly sync: boolean
  /** It is written. */
  release(): Promise<void>
  fail(error: Error): void
}

/** A database whose batches are written when the test says so. */
export class HeldDatabase implements Database {
  readonly #database: Database
  readonly held: HeldBatch[] = []
  holding = false
  closed = false

  constructor(database: Database) {
    this.#database = database
  }

  getSync(key: Buffer): Buffer | undefined {
    return this.#database.getSync(key)
  }

  batch(operations: DatabaseOperation[], options: { readonly sync: boolean }): Promise<void> {
    if (!this.holding) return this.#database.batch(operations, options)
    return new Promise((resolve, reject) => {
      this.held.push({
        operations: [...operations],
        sync: options.sync,
        release: async () => {
          await this.#database.batch(operations, options)
          resolve()
        },
        fail: reject
      })
    })
  }

  slice(from: Buffer, to: Buffer, limit: number): Promise<[Buffer, Buffer][]> {
    return this.#database.slice(from, to, limit)
  }

  close(): Promise<void> {
    this.closed = true
    return this.#database.close()
  }

  /** The oldest batch that is still held. */
  next(): HeldBatch {
    const batch = this.held.shift()
    if (batch === undefined) throw new Error('no batch is held')
    return batch
  }
}
