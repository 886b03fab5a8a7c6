import type { AnnealError } from '../core/errors.ts'
import type { Log, RandomSource, Timers } from '../core/ports.ts'
import type { AsideChange } from './aside-rows.ts'
import type { Database } from './database.ts'
import type { BatchReport } from './group-commit.ts'
import type { ObjectKey, RowRange } from './keys.ts'
import type { Row } from './row-codec.ts'

export interface StoreOptions {
  readonly database: Database
  readonly timers: Timers
  readonly random: RandomSource
  readonly log: Log
  /** `fsync`: a write is durable once it is on disk. `os`: once the operating system has it. */
  readonly durability: 'fsync' | 'os'
  readonly pendingBytesMax: number
  /** Where an object with these names belongs. */
  readonly keyOf?: (bucket: Uint8Array, key: Uint8Array) => ObjectKey
  readonly events: StoreEvents
  readonly trees?: RowWatcher
}

export interface StoreEvents {
  onBatch(report: BatchReport): void
  /** A row whose bytes are not what was written. It counts as missing until another replica's copy heals it. */
  onDamage(key: ObjectKey, reason: string): void
  /** Part of the database, somewhere in the range, cannot be read; told once for each place where a slice came upon it. */
  onUnreadable?(range: RowRange): void
  /** A row that is no object is not what was written, and counts as none; told to whoever knows what it was. */
  onAsideDamage?(rowKey: Buffer, reason: string): void
  /** This node ended its incarnation while running. */
  onIncarnation(): void
  /** The store has stopped for good. */
  onFailure(error: AnnealError): void
}

/** Is told what becomes of objects, in the turn in which it happens; its answers go into the same batch. */
export interface RowWatcher {
  /** The object hashes of a row before and after; null: there is none, or it is damaged and so counts as none. */
  change(key: ObjectKey, before: Uint8Array | null, after: Uint8Array | null): AsideChange[]
  /** From now on the row counts as none, since it, or a value of it, is damaged; nobody knows what it was. */
  distrust(key: ObjectKey): AsideChange[]
}

export interface Mutation<T> {
  readonly result: T
  /** The row after the mutation; null where there is none. */
  readonly row: Row | null
  /** Resolves once all that the row now says, and what went alongside, is durable. */
  readonly durable: Promise<void>
}
