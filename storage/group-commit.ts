import { AnnealError } from '../core/errors.ts'
import type { Timers } from '../core/ports.ts'
import { areFilesDamaged } from './damage.ts'
import type { DatabaseOperation } from './database.ts'

/** What one batch was and what it cost, for metrics. */
export interface BatchReport {
  readonly operations: number
  readonly bytes: number
}

export interface GroupCommitOptions {
  /** `sync`: somebody who has added to the batch wants it, and all before it, on disk whatever the setting. */
  readonly write: (operations: DatabaseOperation[], sync: boolean) => Promise<void>
  readonly timers: Timers
  /** Bytes that may wait to be written before further writes are refused. */
  readonly pendingBytesMax: number
  /** Called right after a batch was written, before anybody else learns of it. */
  readonly onBatch: (report: BatchReport) => void
  /** Called once. What was not written is lost, and nobody may be told otherwise. */
  readonly onFailure: (error: AnnealError) => void
}

class Batch {
  readonly operations: DatabaseOperation[] = []
  bytes = 0
  sync = false
  readonly durable: Promise<void>
  resolve: () => void = () => {}
  reject: (error: Error) => void = () => {}

  constructor() {
    this.durable = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Whoever waits sees the rejection; a batch that nobody waits for must not end the process.
    this.durable.catch(() => {})
  }
}

/**
 * Group commit: operations gather while the previous batch is being written, and then go out as one. A batch that
 * fails is never tried again: after a failed fsync the kernel may have dropped the dirty pages and call the next one
 * a success (Rebello et al., "Can applications recover from fsync failures?", 2020).
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions
  #open: Batch | null = null
  #writing: Batch | null = null
  #pendingBytes = 0
  #failure: AnnealError | null = null

  constructor(options: GroupCommitOptions) {
    this.#options = options
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  get failure(): AnnealError | null {
    return this.#failure
  }

  /** Errors: `overloaded` where too much waits already; the failure, once a batch has failed. */
  checkRoom(): void {
    if (this.#failure !== null) throw this.#failure
    if (this.#pendingBytes >= this.#options.pendingBytesMax) {
      throw new AnnealError(
        'overloaded',
        'the disk is slower than the writes that arrive; try again'
      )
    }
  }

  /**
   * Adds to the batch that is gathering. Resolves when that batch is written; rejects when it failed. All that goes
   * into one batch is given the same promise.
   */
  add(operations: readonly DatabaseOperation[], sync = false): Promise<void> {
    if (this.#failure !== null) throw this.#failure
    const batch = this.#open ?? this.#openBatch()
    if (sync) batch.sync = true
    for (const operation of operations) {
      const bytes = sizeOf(operation)
      batch.operations.push(operation)
      batch.bytes += bytes
      this.#pendingBytes += bytes
    }
    return batch.durable
  }

  /** Resolves when everything added before the call is written; rejects when it failed. */
  written(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    // Batches are written in order.
    return (this.#open ?? this.#writing)?.durable ?? Promise.resolve()
  }

  /** Resolves when nothing waits any more, what was added meanwhile included; rejects when it failed. */
  async drained(): Promise<void> {
    while (this.#open !== null || this.#writing !== null) {
      await (this.#open ?? this.#writing)?.durable
    }
    if (this.#failure !== null) throw this.#failure
  }

  #openBatch(): Batch {
    const batch = new Batch()
    this.#open = batch
    if (this.#writing === null) this.#options.timers.atEndOfTurn(() => this.#writeNext())
    return batch
  }

  #writeNext(): void {
    const batch = this.#open
    if (batch === null || this.#writing !== null || this.#failure !== null) return
    this.#open = null
    this.#writing = batch
    this.#options.write(batch.operations, batch.sync).then(
      () => this.#written(batch),
      (error: unknown) => this.#fail(batch, error)
    )
  }

  #written(batch: Batch): void {
    this.#writing = null
    this.#pendingBytes -= batch.bytes
    this.#options.onBatch({ operations: batch.operations.length, bytes: batch.bytes })
    batch.resolve()
    this.#writeNext()
  }

  #fail(batch: Batch, error: unknown): void {
    const reason = AnnealError.from(error).message
    const whatToDo = areFilesDamaged(error)
      ? 'The files are damaged: the node salvages what can be read of them. If it does not come back, move the data directory away and start it again: it comes back empty and takes its data from the other replicas.'
      : 'Check the disk (space, permissions, kernel log), then start the node again.'
    const failure = new AnnealError(
      'internal',
      `a write to the database failed: ${reason}. The node stops serving, since nothing that was not confirmed may be called durable. ${whatToDo}`,
      {},
      error
    )
    this.#failure = failure
    batch.reject(failure)
    this.#open?.reject(failure)
    this.#writing = null
    this.#open = null
    this.#options.onFailure(failure)
  }
}

function sizeOf(operation: DatabaseOperation): number {
  return operation.key.length + (operation.type === 'put' ? operation.value.length : 0)
}
