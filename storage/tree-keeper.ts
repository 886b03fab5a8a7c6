import { assert } from '../core/assert.ts'
import { DecodeError } from '../core/errors.ts'
import type { Hasher } from '../core/hash.ts'
import { leavesPerPartition } from '../core/limits.ts'
import type { Clock, Log, Timers } from '../core/ports.ts'
import type { HashTrees } from './hash-trees.ts'
import { checkpointRowKey, checkpointsRange, dirtyRange } from './keys.ts'
import { type LeafListing, listLeaves, runsOf } from './leaf-listing.ts'
import { type RecountContext, type RecountResult, recountLeaves } from './leaf-recounting.ts'
import type { LeafSums } from './leaf-sums.ts'
import { RowScrub } from './row-scrub.ts'
import type { Store } from './store.ts'
import { decodeCheckpoint, encodeCheckpoint } from './tree-checkpoint.ts'
import { TreeRestorer } from './tree-restorer.ts'
import type { TreeSnapshot } from './tree-snapshot.ts'

export interface TreeKeeperOptions {
  readonly store: Store
  /** The ones that the store was opened with. */
  readonly trees: HashTrees
  /** The one of the trees. */
  readonly hasher: Hasher
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly events: TreeEvents
}

export interface TreeEvents {
  /**
   * A leaf was not what its rows add up to, so rows of it vanished or turned old. The tree says now what the rows say,
   * so that an exchange with the other replicas finds what is missing; it should come soon.
   */
  onLeafMismatch(partition: number, leaf: number): void
}

export interface ScrubReport {
  /** Rows that were read. */
  readonly rows: number
  /** Leaves that were not what their rows add up to, or held a damaged row. */
  readonly differing: number
  /** This was the last part of a round over all rows. */
  readonly finishedRound: boolean
}

// A checkpoint is 20 KiB: those of so many partitions go into one batch when all are written.
const checkpointsPerBatch = 16

/** Keeps hash trees true to the rows over crashes, damage and stops, and finds out where they are not. */
export class TreeKeeper {
  readonly #options: TreeKeeperOptions
  readonly #store: Store
  readonly #trees: HashTrees
  readonly #context: RecountContext
  readonly #restorer: TreeRestorer
  readonly #verifying = new Map<number, Promise<readonly number[]>>()
  #lastCheckpoint = -1
  #scrubAt = { partition: 0, leaf: 0 }

  private constructor(options: TreeKeeperOptions) {
    this.#options = options
    this.#store = options.store
    this.#trees = options.trees
    this.#context = {
      store: options.store,
      trees: options.trees,
      onDiffering: (partition, leaves) => this.#noteMismatch(partition, leaves)
    }
    this.#restorer = new TreeRestorer(this.#context, (partition, error) =>
      options.log.warn({ partition, error }, 'a hash tree could not be counted')
    )
  }

  /**
   * Reads the checkpoints. Leaves that were dirty, and partitions whose checkpoint is missing, damaged or of another
   * key, are counted in the background: see `ready`.
   *
   * Errors: what the database throws; the store's failure.
   */
  static async open(options: TreeKeeperOptions): Promise<TreeKeeper> {
    const keeper = new TreeKeeper(options)
    await keeper.#loadMarks()
    await keeper.#loadCheckpoints()
    return keeper
  }

  isReady(partition: number): boolean {
    return this.#trees.isTrusted(partition)
  }

  /** Resolves when the partition's tree is known to be what its rows add up to. Errors: `not_ready` once closed, `internal` where rows cannot be read. */
  ready(partition: number): Promise<void> {
    return this.#restorer.ready(partition)
  }

  /** A copy of the partition's tree in which every leaf can be trusted. Errors: as `ready`. */
  async snapshot(partition: number): Promise<TreeSnapshot> {
    while (!this.isReady(partition)) await this.ready(partition)
    return this.#trees.snapshot(partition)
  }

  /**
   * What one leaf holds now. Where that is not what the tree says the leaf is counted anew, and `onLeafMismatch` told.
   * Writes that go on are never the reason.
   *
   * Errors: as `ready`.
   */
  async list(partition: number, leaf: number): Promise<LeafListing> {
    const [listing] = await this.listAll(partition, [leaf])
    assert(listing !== undefined, 'each leaf has a listing')
    return listing
  }

  /** As `list`, for leaves in rising order. */
  async listAll(partition: number, leaves: readonly number[]): Promise<readonly LeafListing[]> {
    while (!this.isReady(partition)) await this.ready(partition)
    const listings: LeafListing[] = []
    const rowsInLeaf = this.#trees.keysIn(partition) / leavesPerPartition
    for (const run of runsOf(leaves, rowsInLeaf)) {
      for (const listing of await listLeaves(this.#store, this.#trees, partition, run)) {
        listings.push(listing)
        const { leaf, agrees } = listing
        // The count that follows finds the difference and tells of it.
        if (agrees || !this.#trees.isLeafTrusted(partition, leaf)) continue
        await recountLeaves(this.#context, { partition, first: leaf, end: leaf + 1 })
      }
    }
    return listings
  }

  /** The leaf is counted again before its partition is next compared. */
  invalidate(partition: number, leaf: number): void {
    void this.#store.changeAside(this.#trees.distrustLeaf(partition, leaf))
  }

  /**
   * Counts all of a partition anew and reads every value. Answers with the leaves that differed from the tree or held a
   * damaged row; the tree is right now. Whoever asks while a partition is being verified is given what comes of that:
   * those who ask again since it takes them too long do not make it take longer.
   *
   * Errors: as `ready`.
   */
  verify(partition: number): Promise<readonly number[]> {
    const running = this.#verifying.get(partition)
    if (running !== undefined) return running
    const begun = this.#verify(partition).finally(() => this.#verifying.delete(partition))
    this.#verifying.set(partition, begun)
    return begun
  }

  /**
   * Reads about `rowsMax` rows, and all their values, and checks them against the tree; the next call goes on from there,
   * round and round.
   */
  async scrubSome(rowsMax: number): Promise<ScrubReport> {
    let rows = 0
    let differing = 0
    while (rows < rowsMax) {
      const { partition, leaf } = this.#scrubAt
      await this.ready(partition)
      const run = { partition, first: leaf, end: leavesPerPartition }
      const part = await this.#scrub(run, rowsMax - rows)
      rows += part.rows
      differing += new Set([...part.differing, ...part.damaged]).size
      const isEnd = part.end === leavesPerPartition
      const following = isEnd ? (partition + 1) % this.#trees.partitions : partition
      this.#scrubAt = { partition: following, leaf: isEnd ? 0 : part.end }
      if (isEnd && following === 0) return { rows, differing, finishedRound: true }
    }
    return { rows, differing, finishedRound: false }
  }

  /**
   * Writes down the next partition that has changed since its checkpoint, if any, so that a start after a crash counts
   * less. Resolves once it is durable, with the partition, null where there was none.
   */
  async checkpointSome(): Promise<number | null> {
    const { partitions } = this.#trees
    for (let i = 1; i <= partitions; i++) {
      const partition = (this.#lastCheckpoint + i) % partitions
      if (!this.#canCheckpoint(partition)) continue
      this.#lastCheckpoint = partition
      await this.#checkpoint(partition)
      return partition
    }
    return null
  }

  /** Stops counting and writes checkpoints, after which a start counts nothing. The store stays open. */
  async close(): Promise<void> {
    await this.#restorer.stop()
    let last = Promise.resolve()
    let waiting = 0
    for (let partition = 0; partition < this.#trees.partitions; partition++) {
      if (!this.#canCheckpoint(partition)) continue
      last = this.#checkpoint(partition)
      if (++waiting % checkpointsPerBatch === 0) await last
    }
    await last
  }

  // What is damaged counts as none, but not to a start, which knows nothing of it before it is read: the marks stay.
  #canCheckpoint(partition: number): boolean {
    const trees = this.#trees
    if (!trees.wantsCheckpoint(partition) || !trees.isTrusted(partition)) return false
    return !this.#store.hasDamage(trees.rangeOf(partition, 0, leavesPerPartition))
  }

  /** Batches keep the order in which they were staged, so a checkpoint is on disk only behind all that it has in it. */
  #checkpoint(partition: number): Promise<void> {
    const { leaves, changes } = this.#trees.takeCheckpoint(partition)
    const content = encodeCheckpoint(this.#options.hasher, leaves)
    const key = checkpointRowKey(partition)
    return this.#store.changeAside([...changes, { type: 'put', key, content }])
  }

  async #verify(partition: number): Promise<readonly number[]> {
    await this.ready(partition)
    const run = { partition, first: 0, end: leavesPerPartition }
    const { differing, damaged } = await this.#scrub(run)
    await this.ready(partition)
    return [...new Set([...differing, ...damaged])].sort((a, b) => a - b)
  }

  #scrub(
    run: Parameters<typeof recountLeaves>[1],
    rowsMax = Number.POSITIVE_INFINITY
  ): Promise<RecountResult> {
    const scrub = new RowScrub(this.#store, this.#options)
    return recountLeaves(this.#context, run, rowsMax, scrub)
  }

  #noteMismatch(partition: number, leaves: readonly number[]): void {
    this.#options.log.error(
      { partition, leaves: leaves.slice(0, 16), count: leaves.length },
      'rows are not what the hash tree says; they are taken from the other replicas'
    )
    // What has vanished may be what this node had minted.
    this.#store.noteLoss('rows are not what the hash tree says')
    for (const leaf of leaves) this.#options.events.onLeafMismatch(partition, leaf)
  }

  async #loadMarks(): Promise<void> {
    const limit = 4096
    let from: Buffer | null = dirtyRange.from
    while (from !== null) {
      const slice = await this.#store.walkAside({ from, to: dirtyRange.to }, limit)
      for (const { key } of slice.rows) {
        const partition = key.readUInt16BE(1)
        const leaf = key.readUInt16BE(3)
        if (partition < this.#trees.partitions && leaf < leavesPerPartition) {
          this.#trees.loadMark(partition, leaf)
        }
      }
      from = slice.next
    }
  }

  async #loadCheckpoints(): Promise<void> {
    const missing = new Set(Array.from({ length: this.#trees.partitions }, (_, i) => i))
    let from: Buffer | null = checkpointsRange.from
    while (from !== null) {
      const slice = await this.#store.walkAside(
        { from, to: checkpointsRange.to },
        checkpointsPerBatch
      )
      for (const { key, content } of slice.rows) {
        const partition = key.readUInt16BE(1)
        const leaves = content === null ? null : this.#decode(partition, content)
        if (leaves === null) this.#dropCheckpoint(key)
        else if (missing.delete(partition)) this.#trees.load(partition, leaves)
      }
      from = slice.next
    }
    for (const partition of missing) this.#trees.load(partition, null)
  }

  // No marks are written for a partition without a checkpoint, so one that is back in force some day would be outdated.
  #dropCheckpoint(key: Buffer): void {
    void this.#store.changeAside([{ type: 'del', key }])
  }

  #decode(partition: number, content: Buffer): LeafSums | null {
    try {
      return decodeCheckpoint(this.#options.hasher, content)
    } catch (thrown) {
      if (!(thrown instanceof DecodeError)) throw thrown
      const { message } = thrown
      this.#options.log.warn({ partition, reason: message }, 'a hash tree is counted anew')
      return null
    }
  }
}
