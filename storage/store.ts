import { compareBytes } from '../core/bytes.ts'
import { AnnealError, DecodeError } from '../core/errors.ts'
import type { Log, RandomSource, Timers } from '../core/ports.ts'
import { DamageList } from './damage.ts'
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
import { type Actor, compareDots } from './version-vector.ts'

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
  readonly key: ObjectKey
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
  readonly #damage = new DamageList()
  readonly minter: Minter
  #writtenIncarnation = ''
  #closing = false

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

  /** Begins a new incarnation and writes it down, synced, before anything is served. */
  static async open(options: StoreOptions): Promise<Store> {
    const last = readIdentity(options)
    const store = new Store(options, last)
    await options.database.batch([store.#identityOperation(false)], { sync: true })
    const { incarnation } = store.minter
    const kept = last?.clean === true
    options.log.info(
      { incarnation: Buffer.from(incarnation, 'latin1').toString('hex'), afterCleanStop: kept },
      kept ? 'storage opened after a stop in order' : 'storage opened'
    )
    return store
  }

  /** Errors: DamagedRowError; the store's failure once it has failed; `not_ready` once it is closing. */
  read(key: ObjectKey): Row | null {
    this.#checkOpen()
    const damage = this.#damage.get(key.id)
    if (damage !== undefined && damage !== 'row') {
      throw new DamagedRowError('a value that is kept apart is damaged')
    }
    return this.#readStagedOrRow(key)
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
    this.#checkOpen()
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
    this.#checkOpen()
    // A row that was staged before the slice is in the slice, or still staged now, or was written in between.
    const staged = this.#stagedIn(range)
    const slice = await this.#database.slice(range.from, range.to, limit)
    this.#checkOpen()
    const keys = new Map(staged.map((key) => [key.id, key]))
    for (const [rowKey] of slice) {
      const key = parseObjectKey(rowKey)
      keys.set(key.id, key)
    }
    const sorted = [...keys.values()].sort((a, b) => compareBytes(a.row, b.row))
    const passed = sorted.slice(0, limit)
    const rows: WalkedRow[] = []
    for (const key of passed) {
      const walked = this.#readWalked(key)
      if (walked !== null) rows.push(walked)
    }
    const last = passed.at(-1)
    const isEnd = passed.length < limit || last === undefined
    return { rows, next: isEnd ? null : rowAfter(last.row) }
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

  /** Takes no more changes, writes everything out, leaves the mark of a clean stop, and closes the database. */
  async close(): Promise<void> {
    this.#closing = true
    try {
      if (this.#commit.failure === null) {
        await this.#commit.drained()
        await this.#database.batch([this.#identityOperation(true)], { sync: true })
      }
    } finally {
      await this.#database.close()
    }
  }

  #checkOpen(): void {
    const { failure } = this.#commit
    if (failure !== null) throw failure
    if (this.#closing) throw new AnnealError('not_ready', 'this node is stopping; try another one')
  }

  #readStagedOrRow(key: ObjectKey): Row | null {
    const staged = this.#staged.get(key.id)
    return staged === undefined ? this.#readRow(key) : staged.row
  }

  #readRow(key: ObjectKey): Row | null {
    try {
      const bytes = this.#database.getSync(key.row)
      return bytes === undefined ? null : decodeRow(key.row, bytes)
    } catch (thrown) {
      throw this.#damaged(key, thrown, this.#damage.addRow(key.id))
    }
  }

  #readForChange(key: ObjectKey): Row | null {
    try {
      const row = this.#readStagedOrRow(key)
      return row === null ? null : this.#withoutDamagedValues(key, row)
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return null
      throw thrown
    }
  }

  #withoutDamagedValues(key: ObjectKey, row: Row): Row | null {
    const damaged = this.#damage.get(key.id)
    if (damaged === undefined || damaged === 'row') return row
    const isIntact = ({ dot }: Version) => !damaged.some((other) => compareDots(dot, other) === 0)
    const versions = row.versions.filter(isIntact)
    return versions.length === 0 ? null : makeRow({ versions, mintActor: null })
  }

  #stagedIn({ from, to }: RowRange): ObjectKey[] {
    const keys: ObjectKey[] = []
    for (const { key } of this.#staged.values()) {
      if (compareBytes(key.row, from) >= 0 && compareBytes(key.row, to) < 0) keys.push(key)
    }
    return keys
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
    const operations = [...this.#removalsOfDamage(key), ...rowOperations(key, current, row)]
    if (this.minter.incarnation !== this.#writtenIncarnation) {
      operations.push(this.#identityOperation(false))
    }
    const durable = this.#commit.add(operations, () => {
      if (this.#staged.get(key.id) === staged) this.#staged.delete(key.id)
    })
    const staged: Staged = { key, row, durable }
    this.#staged.set(key.id, staged)
    this.#damage.healed(key.id)
    return durable
  }

  // Before the row's own operations, which may put the same values anew.
  #removalsOfDamage(key: ObjectKey): DatabaseOperation[] {
    const damaged = this.#damage.get(key.id)
    if (damaged === undefined || damaged === 'row') return []
    return damaged.map((dot) => ({ type: 'del', key: valueRowKey(key, dot) }))
  }

  #identityOperation(clean: boolean): DatabaseOperation {
    this.#writtenIncarnation = this.minter.incarnation
    const value = encodeSealed(identityKey, encodeIdentity(this.minter.identity(clean)))
    return { type: 'put', key: identityKey, value }
  }

  #readValue(key: ObjectKey, version: Version): Buffer {
    this.#checkOpen()
    const rowKey = valueRowKey(key, version.dot)
    try {
      const bytes = this.#database.getSync(rowKey)
      if (bytes === undefined) throw new DecodeError('a value that is kept apart is missing')
      const value = decodeSealed(rowKey, bytes)
      if (value.length !== version.size) throw new DecodeError('a value of another length')
      return value
    } catch (thrown) {
      if (!this.#holds(key, version)) {
        throw new AnnealError('internal', 'a value was wanted whose version is there no more')
      }
      throw this.#damaged(key, thrown, this.#damage.addValue(key.id, version.dot))
    }
  }

  #holds(key: ObjectKey, { dot }: Version): boolean {
    const row = this.#readStagedOrRow(key)
    return row?.versions.some((version) => compareDots(version.dot, dot) === 0) === true
  }

  // After any read error the node may have lost what it minted on this row, hence the new incarnation.
  #damaged(key: ObjectKey, thrown: unknown, isNews: boolean): DamagedRowError {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    if (isNews) {
      this.#options.events.onDamage(key, reason)
      this.renewIncarnation(`damaged row: ${reason}`)
    }
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
