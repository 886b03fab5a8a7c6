import { MemoryLevel } from 'memory-level'
import type { AnnealError } from '../../core/errors.ts'
import type { Log } from '../../core/ports.ts'
import { type Coordinated, coordinate, type Write } from '../../storage/coordinate.ts'
import type { Database } from '../../storage/database.ts'
import type { BatchReport } from '../../storage/group-commit.ts'
import { makeObjectKey, type ObjectKey } from '../../storage/keys.ts'
import { adaptLevel } from '../../storage/level.ts'
import { type Mutation, Store, type StoreOptions } from '../../storage/store.ts'
import { merge, type Versions } from '../../storage/version.ts'
import { emptyVector } from '../../storage/version-vector.ts'
import { seededRandom } from '../oracle/seeded-random.ts'

/** What a store told its owner. */
export interface Told {
  readonly batches: BatchReport[]
  readonly damage: { readonly key: ObjectKey; readonly reason: string }[]
  readonly failures: AnnealError[]
  incarnations: number
}

export interface OpenedStore {
  readonly store: Store
  readonly told: Told
  /** Ends the turn of the event loop, as far as the store knows of one. */
  readonly endTurn: () => void
  /** Ends turns until everything staged is written. */
  readonly settle: () => Promise<void>
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
let lastSeed = 0

export async function openStore(
  database: Database,
  options: Partial<StoreOptions> = {}
): Promise<OpenedStore> {
  const told: Told = { batches: [], damage: [], failures: [], incarnations: 0 }
  const turn: (() => void)[] = []
  const store = await Store.open({
    database,
    timers: {
      set: () => ({}),
      clear() {},
      atEndOfTurn: (callback) => turn.push(callback)
    },
    random: seededRandom(++lastSeed),
    log: silent,
    durability: 'fsync',
    pendingBytesMax: 64 * 1024 * 1024,
    events: {
      onBatch: (report) => told.batches.push(report),
      onDamage: (key, reason) => told.damage.push({ key, reason }),
      onIncarnation: () => told.incarnations++,
      onFailure: (error) => told.failures.push(error)
    },
    ...options
  })
  const endTurn = () => {
    for (const callback of turn.splice(0)) callback()
  }
  const settle = async () => {
    while (turn.length > 0) {
      endTurn()
      await store.drained()
    }
  }
  return { store, told, endTurn, settle }
}

export async function memoryDatabase(): Promise<Database> {
  const level = new MemoryLevel<Buffer, Buffer>({ keyEncoding: 'buffer', valueEncoding: 'buffer' })
  await level.open()
  return adaptLevel(level)
}

/** Keys in the order of their names, all in one partition. */
export function keyOf(name: string): ObjectKey {
  return makeObjectKey(Buffer.alloc(8), Buffer.from('bucket'), Buffer.from(name))
}

/** A put (or, with null, a delete) with everything that a test does not care about filled in. */
export function writeOf(value: string | Uint8Array | null, fields: Partial<Write> = {}): Write {
  return {
    value: typeof value === 'string' ? Buffer.from(value) : value,
    contentType: '',
    meta: [],
    ttlMs: 0,
    context: emptyVector,
    contextTimeMs: 0,
    coversAllHeld: false,
    ...fields
  }
}

/** What the values of a key may have together here. */
export const objectBytesMax = 1024 * 1024

/** Coordinates a write on the store, as a server would. */
export function put(
  store: Store,
  key: ObjectKey,
  write: Write,
  siblingsMax = 64,
  nowMs = 1_000_000
): Mutation<Coordinated> {
  return store.mutate(key, (row) => {
    const rules = { mode: 'siblings', siblingsMax, objectBytesMax, nowMs } as const
    const made = coordinate(key, row, write, store.minter, rules)
    return { next: made, result: made }
  })
}

/** Merges what came from another replica. */
export function take(store: Store, key: ObjectKey, arrived: Versions): Mutation<null> {
  return store.mutate(key, (row) => {
    const versions = merge(row?.versions ?? [], arrived, 'siblings')
    return { next: { versions, mintActor: row?.mintActor ?? null }, result: null }
  })
}

/** The values of a row in some order that is always the same; null for tombstones. */
export function valuesOf(store: Store, key: ObjectKey): (string | null)[] {
  const row = store.read(key)
  const versions = row === null ? [] : store.withValues(key, row.versions)
  return versions.map(({ value }) => (value === null ? null : Buffer.from(value).toString())).sort()
}

/** Every row of the database under a prefix. */
export function rowsUnder(database: Database, prefix: string): Promise<[Buffer, Buffer][]> {
  const from = Buffer.from(prefix)
  return database.slice(from, Buffer.concat([from, Buffer.alloc(4000, 0xff)]), 1000)
}
