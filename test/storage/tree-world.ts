import { setImmediate as nextTurn } from 'node:timers/promises'
import { deriveKeys } from '../../core/secrets.ts'
import type { Database, DatabaseOperation } from '../../storage/database.ts'
import { HashTrees } from '../../storage/hash-trees.ts'
import { makeObjectKey, type ObjectKey, partitionRange } from '../../storage/keys.ts'
import type { Store } from '../../storage/store.ts'
import { TreeKeeper } from '../../storage/tree-keeper.ts'
import { memoryDatabase, type OpenedStore, openStore } from './open-store.ts'

export const { tree: hasher } = await deriveKeys('trees', 'a secret')

export interface TreeWorld extends OpenedStore {
  readonly trees: HashTrees
  readonly keeper: TreeKeeper
  /** Leaves that were not what their rows add up to: `partition/leaf`. */
  readonly mismatches: string[]
}

/** A store with hash trees, on the turns of the real event loop. */
export async function openWorld(
  database: Database,
  options: { readonly partitions?: number; readonly hasher?: typeof hasher } = {}
): Promise<TreeWorld> {
  const treeHasher = options.hasher ?? hasher
  const trees = new HashTrees({ partitions: options.partitions ?? 4, hasher: treeHasher })
  const timers = {
    set: (callback: () => void) => ({ timer: setImmediate(callback) }),
    clear() {},
    atEndOfTurn: (callback: () => void) => void setImmediate(callback)
  }
  const clock = { now: () => 0, monotonic: () => 0 }
  const opened = await openStore(database, { trees, timers, durability: 'os' })
  const mismatches: string[] = []
  const keeper = await TreeKeeper.open({
    store: opened.store,
    trees,
    hasher: treeHasher,
    clock,
    timers,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    events: { onLeafMismatch: (partition, leaf) => mismatches.push(`${partition}/${leaf}`) }
  })
  return { ...opened, trees, keeper, mismatches, settle: () => opened.store.drained() }
}

/** A key whose token begins with the given 32 bits. */
export function keyWithToken(first: number, name: string): ObjectKey {
  const token = Buffer.alloc(8)
  token.writeUInt32BE(first >>> 0)
  return makeObjectKey(token, Buffer.from('bucket'), Buffer.from(name))
}

/** What the trees should be: the leaves that hold something, as `partition/leaf`, with their count and sums. */
export async function leavesOfRows(store: Store, trees: HashTrees): Promise<Map<string, string>> {
  const sums = new Map<string, bigint[]>()
  let { from } = partitionRange(0, 1)
  const { to } = partitionRange(0, 1)
  for (;;) {
    const { rows, next } = await store.walk({ from, to }, 100)
    for (const { key, row } of rows) {
      if (row === null) continue
      const bits = BigInt(Math.log2(trees.partitions * 1024))
      const piece = key.row.readBigUInt64BE(1) >> (64n - bits)
      const leaf = sums.get(`${piece / 1024n}/${piece % 1024n}`) ?? [0n, 0n, 0n, 0n, 0n]
      const digest = Buffer.from(hasher(Buffer.concat([key.row, row.objectHash])))
      sums.set(
        `${piece / 1024n}/${piece % 1024n}`,
        leaf.map((sum, i) => {
          const added = i === 0 ? 1n : BigInt(digest.readUInt32BE((i - 1) * 4))
          return (sum + added) % 2n ** 32n
        })
      )
    }
    if (next === null) break
    from = next
  }
  return new Map([...sums].sort().map(([place, lanes]) => [place, lanes.join(' ')]))
}

/** What the trees are, in the same form. */
export function leavesOfTrees(trees: HashTrees): Map<string, string> {
  const found: [string, string][] = []
  for (let partition = 0; partition < trees.partitions; partition++) {
    for (let leaf = 0; leaf < 1024; leaf++) {
      const bytes = trees.leafBytes(partition, leaf)
      const lanes = [0, 4, 8, 12, 16].map((at) => bytes.readUInt32BE(at))
      if (lanes.some((lane) => lane !== 0)) found.push([`${partition}/${leaf}`, lanes.join(' ')])
    }
  }
  return new Map(found.sort())
}

/** Resolves when no leaf is distrusted and nothing waits to be written. */
export async function atRest({ keeper, trees, store }: TreeWorld): Promise<void> {
  for (let partition = 0; partition < trees.partitions; partition++) await keeper.ready(partition)
  await store.drained()
}

/** A database that reads slices as a disk does: what they show is some turns old when it arrives. */
export function slowSlices(database: Database): Database {
  return {
    getSync: (key) => database.getSync(key),
    batch: (operations, options) => database.batch(operations, options),
    slice: async (from, to, limit) => {
      await nextTurn()
      const rows = await database.slice(from, to, limit)
      await nextTurn()
      await nextTurn()
      return rows
    },
    close: () => database.close()
  }
}

/** A database that remembers its batches, so that a power failure can take the last ones away. */
export class JournaledDatabase implements Database {
  readonly #database: Database
  readonly #journal: (readonly DatabaseOperation[])[] = []
  readonly durability: { synced: number } = { synced: 0 }

  private constructor(database: Database, journal: readonly (readonly DatabaseOperation[])[]) {
    this.#database = database
    this.#journal.push(...journal)
    this.durability.synced = journal.length
  }

  static async open(
    journal: readonly (readonly DatabaseOperation[])[] = []
  ): Promise<JournaledDatabase> {
    const database = await memoryDatabase()
    for (const operations of journal) await database.batch([...operations], { sync: true })
    return new JournaledDatabase(database, journal)
  }

  /** The database after a power failure that took the last `lost` batches, as far as they were not synced. */
  afterCrash(lost: number): Promise<JournaledDatabase> {
    const kept = Math.max(this.durability.synced, this.#journal.length - lost)
    return JournaledDatabase.open(this.#journal.slice(0, kept))
  }

  get length(): number {
    return this.#journal.length
  }

  getSync(key: Buffer): Buffer | undefined {
    return this.#database.getSync(key)
  }

  /** A batch is in the journal from the moment in which it was handed over. */
  async batch(operations: DatabaseOperation[], { sync }: { sync: boolean }): Promise<void> {
    this.#journal.push([...operations])
    const length = this.#journal.length
    await this.#database.batch(operations, { sync })
    if (sync) this.durability.synced = Math.max(this.durability.synced, length)
  }

  slice(from: Buffer, to: Buffer, limit: number): Promise<[Buffer, Buffer][]> {
    return slowSlices(this.#database).slice(from, to, limit)
  }

  async close(): Promise<void> {}
}
