import { AnnealError } from '../core/errors.ts'
import { type AsideChange, type AsideRow, AsideRows, asideOperations } from './aside-rows.ts'
import { DamageList } from './damage.ts'
import type { Database, DatabaseOperation } from './database.ts'
import { GroupCommit } from './group-commit.ts'
import { metaRowKey, type ObjectKey, parseObjectKey, type RowRange } from './keys.ts'
import { identityKey, readIdentity, readMetaRow } from './meta-rows.ts'
import { encodeIdentity, type Identity, Minter } from './minter.ts'
import { encodeObject, isKeptApart } from './object-codec.ts'
import { encodeSealed, type Row } from './row-codec.ts'
import {
  indexChanges,
  makeRow,
  type NewRow,
  removalsOfDamage,
  rowOperations,
  type StoredRow
} from './row-operations.ts'
import {
  type HashedRow,
  lacksValue,
  RowReader,
  type StagedRow,
  type WalkedRow
} from './row-reader.ts'
import { StagedRows } from './staged-rows.ts'
import type { Mutation, StoreOptions } from './store-options.ts'
import type { Versions } from './version.ts'

export { DamagedRowError } from './damage.ts'
export type { NewRow } from './row-operations.ts'
export type { WalkedRow } from './row-reader.ts'
export type { Mutation, RowWatcher, StoreEvents, StoreOptions } from './store-options.ts'

export interface AsideSlice {
  readonly rows: readonly AsideRow[]
  readonly next: Buffer | null
}

const written = Promise.resolve()
const unreadablePlacesMax = 4096
const keysLoggedMax = 16
const nothingAlongside = (): readonly AsideChange[] => []

/**
 * The one place through which rows are read and changed. A mutation reads the current row, merges and stages without
 * an `await` in between, so no two writers start from the same old row; staged rows shadow the database until their
 * batch is written. Batches reach the disk in the order in which they were staged, whole or not at all. Reads verify the
 * row's checksum every time, because LevelDB here does not.
 */
export class Store {
  readonly #options: StoreOptions
  readonly #database: Database
  readonly #commit: GroupCommit
  readonly #staged: StagedRows<StagedRow>
  readonly #damage = new DamageList()
  readonly #reader: RowReader
  readonly #asides: AsideRows
  readonly minter: Minter
  /** Where slices began in which files could not be read. */
  readonly #unreadable = new Set<string>()
  #writtenIncarnation = ''
  #closing = false

  private constructor(options: StoreOptions, last: Identity | null) {
    const { database, timers, log, events } = options
    this.#options = options
    this.#database = database
    this.minter = new Minter(options.random, last)
    const syncs = options.durability === 'fsync'
    this.#commit = new GroupCommit({
      write: (operations, sync) => database.batch(operations, { sync: sync || syncs }),
      timers,
      pendingBytesMax: options.pendingBytesMax,
      onBatch: (report) => {
        this.#staged.oldestWritten()
        events.onBatch(report)
      },
      onFailure: events.onFailure
    })
    this.#staged = new StagedRows(database, (keys, range) => this.#dropMalformed(keys, range))
    this.#reader = new RowReader({
      database,
      staged: this.#staged,
      damage: this.#damage,
      checkOpen: () => this.#checkOpen(),
      onDamage: (key, reason) => this.#noteDamage(key, reason),
      onReadable: (key) => this.#noteReadable(key),
      onUnreadable: (range, reason) => this.#noteUnreadable(range, reason)
    })
    this.#asides = new AsideRows({
      database,
      staged: this.#staged,
      log,
      onDamage: (rowKey, reason) => {
        events.onAsideDamage?.(rowKey, reason)
        this.noteLoss(`damaged row: ${reason}`)
      }
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
    return this.#reader.read(key)
  }

  /** Keys whose rows are known to be damaged, the next ones in turn. */
  damagedKeys(countMax: number): ObjectKey[] {
    if (this.#damage.isEmpty) return []
    return this.#damage.take(countMax).map((id) => parseObjectKey(Buffer.from(id, 'latin1')))
  }

  /** Whether rows of the range are known to be damaged. */
  hasDamage({ from, to }: RowRange): boolean {
    if (this.#damage.isEmpty) return false
    return this.#damage.hasIn(from.toString('latin1'), to.toString('latin1'))
  }

  /** Fills in the values that are kept apart. Errors: DamagedRowError where one is missing or damaged. */
  withValues(key: ObjectKey, versions: Versions): Versions {
    if (!versions.some(lacksValue)) return versions
    return versions.map((version) =>
      lacksValue(version) ? { ...version, value: this.#reader.readValue(key, version) } : version
    )
  }

  /** The row's object with all values, as it goes to other nodes. */
  wholeObject(key: ObjectKey, row: Row): Buffer {
    if (!row.versions.some(isKeptApart)) return row.objectBytes
    return encodeObject(this.withValues(key, row.versions), 'whole')
  }

  /**
   * Replaces a row by what `change` makes of it; null leaves it as it is. A damaged row counts as none. `change` is
   * called once, synchronously; what it throws is thrown here and nothing has changed. What `alongside` makes of the
   * outcome, also of one that leaves the row as it is, goes into the same batch as the row.
   *
   * Errors: `overloaded` where too much waits to be written; the store's failure once it has failed.
   */
  mutate<T>(
    key: ObjectKey,
    change: (current: Row | null) => { readonly next: NewRow | null; readonly result: T },
    alongside: (outcome: {
      readonly row: Row | null
      readonly result: T
    }) => readonly AsideChange[] = nothingAlongside
  ): Mutation<T> {
    this.#checkOpen()
    this.#commit.checkRoom()
    const { stored, current } = this.#reader.readForChange(key)
    const changed = change(current)
    const { result } = changed
    // A damaged value that no replica has a copy of is given up: written down without it, the row is readable again.
    const next = changed.next ?? (this.#damage.has(key.id) ? current : null)
    if (next === null) {
      const changes = alongside({ row: current, result })
      if (changes.length > 0) return { result, row: current, durable: this.changeAside(changes) }
      const durable = this.#staged.durable(key.id) ?? written
      return { result, row: current, durable }
    }
    const row = makeRow(next)
    const changes = alongside({ row, result })
    // First of all, as the row's own operations may put the same values anew.
    const removals = removalsOfDamage(key, this.#damage.get(key.id))
    const operations = [...removals, ...rowOperations(key, current, row)]
    return { result, row, durable: this.#stage(key, stored, row, operations, changes) }
  }

  /** What the node keeps of itself under a name. A damaged row counts as none, and is logged. */
  readMeta(name: string): Buffer | null {
    return readMetaRow(this.#options, metaRowKey(name))
  }

  writeMeta(name: string, content: Uint8Array): Promise<void> {
    return this.changeAside([{ type: 'put', key: metaRowKey(name), content }])
  }

  /**
   * A row that is no object, as it is now, staged changes included: between this and a `changeAside` without an `await`
   * in between nobody else changes it. A damaged row counts as none; it is logged, and ends the incarnation.
   */
  aside(rowKey: Buffer): Buffer | null {
    this.#checkOpen()
    return this.#asides.read(rowKey)
  }

  /**
   * Changes rows that are no objects, all in one batch, behind everything staged before. Resolves once it is durable as
   * `durability` has it; what must survive a power failure under `os` too waits for `sync` afterwards. Asks for no room,
   * since bookkeeping has to go on while writes are refused: who takes in data from outside calls `checkRoom` first.
   *
   * Errors: throws the store's failure once it has failed, `not_ready` once it is closing.
   */
  changeAside(changes: readonly AsideChange[]): Promise<void> {
    this.#checkOpen()
    const durable = this.#addToBatch(asideOperations(changes))
    this.#asides.stage(changes, durable)
    return durable
  }

  /**
   * One bounded slice of rows that are no objects, in order and as they are now; `next` as in `walk`.
   *
   * Errors: what the database throws where files cannot be read.
   */
  walkAside(range: RowRange, limit: number): Promise<AsideSlice> {
    return this.#walkAside(range, limit)
  }

  /** As `walkAside`, past what cannot be read: for rows that do no harm where they are missed, and are put back. */
  walkReadableAside(range: RowRange, limit: number): Promise<AsideSlice> {
    return this.#walkAside(range, limit, (thrown) =>
      this.#noteUnreadable(range, thrown instanceof Error ? thrown.message : String(thrown))
    )
  }

  async #walkAside(
    range: RowRange,
    limit: number,
    onUnreadable?: (thrown: unknown) => void
  ): Promise<AsideSlice> {
    this.#checkOpen()
    const slice = await this.#asides.walk(
      range,
      limit,
      (rows, next) => ({ rows, next }),
      onUnreadable
    )
    this.#checkOpen()
    return slice
  }

  /**
   * One bounded slice of a walk in row order, staged changes included. `next` is where the following slice begins,
   * null at the end.
   */
  walk(
    range: RowRange,
    limit: number
  ): Promise<{ rows: readonly WalkedRow[]; next: Buffer | null }> {
    return this.#reader.walk(range, limit, (rows, next) => ({ rows, next }))
  }

  /**
   * As `walk`, for who needs the very moment: `visit` is called while what it is shown is what every read would answer,
   * so it must not wait. Whatever changes in the slice later is changed by a mutation after `visit`. Rows that are not
   * wanted cost little.
   */
  walkExactly<T>(
    range: RowRange,
    limit: number,
    visit: (rows: readonly WalkedRow[], next: Buffer | null) => T,
    isWanted?: (rowKey: Buffer) => boolean
  ): Promise<T> {
    return this.#reader.walk(range, limit, visit, isWanted)
  }

  /** As `walkExactly`, but fast: only object hashes, and without the damaged rows. */
  walkHashes<T>(
    range: RowRange,
    limit: number,
    visit: (rows: readonly HashedRow[], next: Buffer | null) => T
  ): Promise<T> {
    return this.#reader.walkHashes(range, limit, visit)
  }

  /** Draws a new incarnation, which is written down in one batch with the next write. What is on disk is in doubt. */
  renewIncarnation(reason: string): void {
    this.#database.forgetCached?.()
    this.minter.renew()
    this.#options.events.onIncarnation()
    this.#options.log.warn({ reason }, 'this node takes a new incarnation')
  }

  /**
   * Of what was written something is lost or old. That ends the incarnation only where it has minted: every incarnation
   * is remembered for good, by all nodes, and thousands of rows may rot at once.
   */
  noteLoss(reason: string): void {
    if (this.minter.counter > 0) this.renewIncarnation(reason)
    else this.#database.forgetCached?.()
  }

  /** Errors: `overloaded` where too much waits to be written; the store's failure once it has failed. */
  checkRoom(): void {
    this.#commit.checkRoom()
  }

  /** Resolves when nothing that was staged waits any more, what is staged meanwhile included. */
  drained(): Promise<void> {
    return this.#commit.drained()
  }

  /**
   * Resolves when all that was staged before the call is on disk and outlives a power failure, whatever `durability`
   * says. Calls in one turn share their costs.
   */
  sync(): Promise<void> {
    this.#checkOpen()
    if (this.#options.durability === 'fsync') return this.#commit.written()
    return this.#addToBatch([this.#identityOperation(false)], true)
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

  #stage(
    key: ObjectKey,
    stored: StoredRow,
    row: Row | null,
    operations: DatabaseOperation[],
    alongside: readonly AsideChange[]
  ): Promise<void> {
    const changes = [...indexChanges(key, stored, row), ...alongside]
    // A row whose values are damaged counts as none, like one that is damaged itself.
    const before = stored === 'damaged' || this.#damage.has(key.id) ? null : stored
    const { trees } = this.#options
    if (trees !== undefined) {
      changes.push(...trees.change(key, before?.objectHash ?? null, row?.objectHash ?? null))
    }
    if (changes.length > 0) operations.push(...asideOperations(changes))
    const durable = this.#addToBatch(operations)
    this.#staged.add(durable, key.id, { rowKey: key.row, row, content: null })
    if (changes.length > 0) this.#asides.stage(changes, durable)
    this.#damage.healed(key.id)
    return durable
  }

  #addToBatch(operations: readonly DatabaseOperation[], sync = false): Promise<void> {
    const isOutdated = this.minter.incarnation !== this.#writtenIncarnation
    const durable = this.#commit.add(
      isOutdated ? [...operations, this.#identityOperation(false)] : operations,
      sync
    )
    this.#staged.begin(durable)
    return durable
  }

  #identityOperation(clean: boolean): DatabaseOperation {
    this.#writtenIncarnation = this.minter.incarnation
    const value = encodeSealed(identityKey, encodeIdentity(this.minter.identity(clean)))
    return { type: 'put', key: identityKey, value }
  }

  // After any read error the node may have lost what it minted on this row, hence the new incarnation.
  #noteDamage(damaged: ObjectKey, reason: string): void {
    const key = this.#options.keyOf?.(damaged.bucket, damaged.key) ?? damaged
    // Bits of the key have flipped. Asked by its names, others would give what belongs elsewhere.
    if (key.id !== damaged.id) this.#dropMisplaced(damaged)
    this.#options.events.onDamage(key, reason)
    this.noteLoss(`damaged row: ${reason}`)
    this.#distrust(key)
  }

  #dropMisplaced({ id, row }: ObjectKey): void {
    this.#damage.healed(id)
    this.#deleteRows([row])
  }

  // Its leaf may have been counted without the row.
  #noteReadable(key: ObjectKey): void {
    this.#options.log.warn(
      { bucket: String(key.bucket), key: String(key.key) },
      'a row that could not be read can be read again'
    )
    this.#distrust(key)
  }

  #distrust(key: ObjectKey): void {
    const changes = this.#options.trees?.distrust(key) ?? []
    if (changes.length > 0) void this.changeAside(changes)
  }

  /** Rows that count as none, or are none; their owner has been told why. */
  #deleteRows(keys: readonly Buffer[]): void {
    void this.changeAside(keys.map((key) => ({ type: 'del', key }))).catch(() => {})
  }

  // What the keys were nobody knows; under the right ones their rows are missing now.
  #dropMalformed(keys: readonly Buffer[], range: RowRange): void {
    const rows = keys.slice(0, keysLoggedMax).map((key) => key.toString('hex'))
    this.#options.log.error(
      { rows, count: keys.length },
      'keys in the database are damaged; their rows are deleted, and what was there is taken from the other replicas'
    )
    this.#deleteRows(keys)
    this.#options.events.onUnreadable?.(range)
    this.noteLoss('damaged keys')
  }

  // The rows that nobody sees there any more may be what this node had minted. Known places are met again and again.
  #noteUnreadable(range: RowRange, reason: string): void {
    const { from, to } = range
    const place = from.toString('hex')
    if (this.#unreadable.has(place) || this.#unreadable.size >= unreadablePlacesMax) return
    this.#unreadable.add(place)
    this.#options.log.error(
      { from: place, to: to.toString('hex'), reason },
      'part of the database cannot be read; what was there is taken from the other replicas'
    )
    this.#options.events.onUnreadable?.(range)
    this.noteLoss(`rows that cannot be read: ${reason}`)
  }
}
