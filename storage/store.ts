import { type AnnealError, DecodeError } from '../core/errors.ts'
import type { Log, RandomSource, Timers } from '../core/ports.ts'
import type { Database, DatabaseOperation } from './database.ts'
import { type BatchReport, GroupCommit } from './group-commit.ts'
import {
  metaRowKey,
  type ObjectKey,
  parseObjectKey,
  type RowRange,
  rowAfter,
  valueRowKey
} from './keys.ts'
import { decodeIdentity, encodeIdentity, type Identity, Minter } from './minter.ts'
import { encodeObject, isKeptApart } from './object-codec.ts'
import { decodeRow, decodeSealed, encodeRow, encodeSealed, type Row } from './row-codec.ts'
import { hashObject, type Version, type Versions } from './version.ts'
import { type Actor, compareDots, type Dot } from './version-vector.ts'

export interface StoreOptions {
  readonly database: Database
  readonly timers: Timers
  readonly random: RandomSource
  readonly log: Log
  /** `fsync`: a write is durable once it is on disk. `os`: once the operating system has it. */
  readonly durability: 'fsync' | 'os'
  readonly pendingBytesMax: number
  readonly events: StoreEvents
}

export interface StoreEvents {
  onBatch(report: BatchReport): void
  /** A row whose bytes are not what was written. It counts as missing until another replica's copy heals it. */
  onDamage(key: ObjectKey, reason: string): void
  /** This node ended its incarnation while running. */
  onIncarnation(): void
  /** The store has stopped for good. */
  onFailure(error: AnnealError): void
}

/** What a mutation makes of a row. Empty versions remove it. */
export interface NewRow {
  readonly versions: Versions
  readonly mintActor: Actor | null
}

export interface Mutation<T> {
  readonly result: T
  /** The row after the mutation; null where there is none. */
  readonly row: Row | null
  /** Resolves once all that the row now says is durable. */
  readonly durable: Promise<void>
}

/** A row that cannot be trusted. */
export class DamagedRowError extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'DamagedRowError'
  }
}

/** One row of a walk; a damaged one has a null row. */
export interface WalkedRow {
  readonly key: ObjectKey
  readonly row: Row | null
}

interface Staged {
  readonly row: Row | null
  readonly durable: Promise<void>
}

const identityKey = metaRowKey('identity')
const written = Promise.resolve()

/**
 * The one place through which rows are read and changed. A mutation reads the current row, merges and stages without
 * an `await` in between, so no two writers start from the same old row; staged rows shadow the database until their
 * batch is written. Reads verify the row's checksum every time, because LevelDB here does not.
 */
export class Store {
  readonly #options: StoreOptions
  readonly #database: Database
  readonly #commit: GroupCommit
  readonly #staged = new Map<string, Staged>()
  /** Values kept apart that were found damaged, by the id of their key: they count as missing until they are healed. */
  readonly #damagedValues = new Map<string, Dot[]>()
  readonly minter: Minter
  #writtenIncarnation = ''

  private constructor(options: StoreOptions, last: Identity | null) {
    this.#options = options
    this.#database = options.database
    this.minter = new Minter(options.random, last)
    const sync = options.durability === 'fsync'
    this.#commit = new GroupCommit({
      write: (operations) => options.database.batch(operations, { sync }),
      timers: options.timers,
      pendingBytesMax: options.pendingBytesMax,
      onBatch: options.events.onBatch,
      onFailure: options.events.onFailure
    })
  }

  /**
   * Reads the identity, takes a new incarnation where the last stop was not clean, and writes it down synced before
   * anything is served.
   */
  static async open(options: StoreOptions): Promise<Store> {
    const last = readIdentity(options)
    const store = new Store(options, last)
    await options.database.batch([store.#identityOperation(false)], { sync: true })
    const { incarnation } = store.minter
    const kept = last?.clean === true
    options.log.info(
      { incarnation: Buffer.from(incarnation, 'latin1').toString('hex'), afterCleanStop: kept },
      kept ? 'storage opened after a clean stop' : 'storage opened with a new incarnation'
    )
    return store
  }

  /** Errors: DamagedRowError; the store's failure once it has failed. */
  read(key: ObjectKey): Row | null {
    const { failure } = this.#commit
    if (failure !== null) throw failure
    const staged = this.#staged.get(key.id)
    if (staged !== undefined) return staged.row
    try {
      const bytes = this.#database.getSync(key.row)
      return bytes === undefined ? null : decodeRow(key.row, bytes)
    } catch (thrown) {
      throw this.#damaged(key, thrown)
    }
  }

  /** Fills in the values that are kept apart. Errors: DamagedRowError where one is missing or damaged. */
  withValues(key: ObjectKey, versions: Versions): Versions {
    if (!versions.some(lacksValue)) return versions
    return versions.map((version) =>
      lacksValue(version) ? { ...version, value: this.#readValue(key, version) } : version
    )
  }

  /** The row's object with all values, as it goes to other nodes. */
  wholeObject(key: ObjectKey, row: Row): Buffer {
    if (!row.versions.some(isKeptApart)) return row.objectBytes
    return encodeObject(this.withValues(key, row.versions), 'whole')
  }

  /**
   * Replaces a row by what `change` makes of it; null leaves it as it is. A damaged row counts as none. `change` is
   * called once, synchronously; what it throws is thrown here and nothing has changed.
   *
   * Errors: `overloaded` where too much waits to be written; the store's failure once it has failed.
   */
  mutate<T>(
    key: ObjectKey,
    change: (current: Row | null) => { readonly next: NewRow | null; readonly result: T }
  ): Mutation<T> {
    this.#commit.checkRoom()
    const current = this.#readForChange(key)
    const { next, result } = change(current)
    if (next === null) {
      const durable = this.#staged.get(key.id)?.durable ?? written
      return { result, row: current, durable }
    }
    const row = next.versions.length === 0 ? null : makeRow(next)
    return { result, row, durable: this.#stage(key, current, row) }
  }

  /** What the node keeps of itself under a name. A damaged row counts as none, and is logged. */
  readMeta(name: string): Buffer | null {
    return readSealed(this.#options, metaRowKey(name))
  }

  writeMeta(name: string, content: Uint8Array): Promise<void> {
    const key = metaRowKey(name)
    return this.#commit.add([{ type: 'put', key, value: encodeSealed(key, content) }], () => {})
  }

  /**
   * One bounded slice of a walk in row order, staged changes included. `next` is where the following slice begins,
   * null at the end.
   */
  async walk(range: RowRange, limit: number): Promise<{ rows: WalkedRow[]; next: Buffer | null }> {
    const slice = await this.#database.slice(range.from, range.to, limit)
    const rows: WalkedRow[] = []
    for (const [rowKey] of slice) {
      const walked = this.#readWalked(parseObjectKey(rowKey))
      if (walked !== null) rows.push(walked)
    }
    const last = slice.at(-1)
    const complete = slice.length < limit || last === undefined
    return { rows, next: complete ? null : rowAfter(last[0]) }
  }

  /** Draws a new incarnation, which is written down in one batch with the next write. */
  renewIncarnation(reason: string): void {
    this.minter.renew()
    this.#options.events.onIncarnation()
    this.#options.log.warn({ reason }, 'this node takes a new incarnation')
  }

  /** Resolves when all that was staged is durable. */
  drained(): Promise<void> {
    return this.#commit.drained()
  }

  get pendingBytes(): number {
    return this.#commit.pendingBytes
  }

  /** Writes everything out, leaves the mark of a clean stop, and closes the database. */
  async close(): Promise<void> {
    try {
      if (this.#commit.failure === null) {
        await this.#commit.drained()
        await this.#database.batch([this.#identityOperation(true)], { sync: true })
      }
    } finally {
      await this.#database.close()
    }
  }

  #readForChange(key: ObjectKey): Row | null {
    try {
      const row = this.read(key)
      return row === null ? null : this.#withoutDamagedValues(key, row)
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return null
      throw thrown
    }
  }

  #withoutDamagedValues(key: ObjectKey, row: Row): Row | null {
    const damaged = this.#damagedValues.get(key.id)
    if (damaged === undefined) return row
    const isIntact = ({ dot }: Version) => !damaged.some((other) => compareDots(dot, other) === 0)
    const versions = row.versions.filter(isIntact)
    return versions.length === 0 ? null : makeRow({ versions, mintActor: null })
  }

  // The slice said that the row exists; what it says now is read like any other row, so that both come from one rule.
  #readWalked(key: ObjectKey): WalkedRow | null {
    try {
      const row = this.read(key)
      return row === null ? null : { key, row }
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return { key, row: null }
      throw thrown
    }
  }

  #stage(key: ObjectKey, current: Row | null, row: Row | null): Promise<void> {
    const operations = rowOperations(key, current, row)
    if (this.minter.incarnation !== this.#writtenIncarnation) {
      operations.push(this.#identityOperation(false))
    }
    const durable = this.#commit.add(operations, () => {
      if (this.#staged.get(key.id) === staged) this.#staged.delete(key.id)
    })
    const staged: Staged = { row, durable }
    this.#staged.set(key.id, staged)
    this.#damagedValues.delete(key.id)
    return durable
  }

  #identityOperation(clean: boolean): DatabaseOperation {
    this.#writtenIncarnation = this.minter.incarnation
    const value = encodeSealed(identityKey, encodeIdentity(this.minter.identity(clean)))
    return { type: 'put', key: identityKey, value }
  }

  #readValue(key: ObjectKey, version: Version): Buffer {
    const rowKey = valueRowKey(key, version.dot)
    try {
      const bytes = this.#database.getSync(rowKey)
      if (bytes === undefined) throw new DecodeError('a value that is kept apart is missing')
      const value = decodeSealed(rowKey, bytes)
      if (value.length !== version.size) throw new DecodeError('a value of another length')
      return value
    } catch (thrown) {
      const damaged = this.#damagedValues.get(key.id) ?? []
      this.#damagedValues.set(key.id, [...damaged, version.dot])
      throw this.#damaged(key, thrown)
    }
  }

  // After any read error the node may have lost what it minted on this row, hence the new incarnation.
  #damaged(key: ObjectKey, thrown: unknown): DamagedRowError {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    this.#options.events.onDamage(key, reason)
    this.renewIncarnation(`damaged row: ${reason}`)
    return new DamagedRowError(reason)
  }
}

function makeRow(next: NewRow): Row {
  return {
    versions: next.versions,
    mintActor: next.mintActor,
    objectHash: hashObject(next.versions),
    objectBytes: encodeObject(next.versions, 'row')
  }
}

function rowOperations(key: ObjectKey, current: Row | null, row: Row | null): DatabaseOperation[] {
  const operations: DatabaseOperation[] =
    row === null
      ? [{ type: 'del', key: key.row }]
      : [{ type: 'put', key: key.row, value: encodeRow(key.row, row) }]
  for (const version of keptApartOnlyIn(row, current)) {
    const rowKey = valueRowKey(key, version.dot)
    if (version.value === null) throw new DecodeError('a value that is kept apart came without it')
    operations.push({ type: 'put', key: rowKey, value: encodeSealed(rowKey, version.value) })
  }
  for (const version of keptApartOnlyIn(current, row)) {
    operations.push({ type: 'del', key: valueRowKey(key, version.dot) })
  }
  return operations
}

function keptApartOnlyIn(row: Row | null, other: Row | null): Versions {
  const there = other?.versions ?? []
  return (row?.versions ?? []).filter(
    (version) => isKeptApart(version) && !there.some((v) => compareDots(v.dot, version.dot) === 0)
  )
}

function lacksValue(version: Version): boolean {
  return version.value === null && !version.tombstone
}

function readIdentity(options: StoreOptions): Identity | null {
  const content = readSealed(options, identityKey)
  if (content === null) return null
  try {
    return decodeIdentity(content)
  } catch (error) {
    options.log.error({ error }, 'the identity of this node is damaged')
    return null
  }
}

function readSealed(options: StoreOptions, key: Buffer): Buffer | null {
  try {
    const bytes = options.database.getSync(key)
    return bytes === undefined ? null : decodeSealed(key, bytes)
  } catch (error) {
    options.log.error(
      { row: key.subarray(1).toString(), error },
      'a row of the node itself is damaged'
    )
    return null
  }
}
