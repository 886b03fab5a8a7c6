import { AnnealError } from '../core/errors.ts'
import type { ClusterKeys } from '../core/secrets.ts'
import { partitionOf } from '../ring/token.ts'
import { withRowCache } from '../storage/cached-database.ts'
import { HashTrees } from '../storage/hash-trees.ts'
import { type ObjectKey, partitionsIn, type RowRange } from '../storage/keys.ts'
import { Store } from '../storage/store.ts'
import { TreeKeeper } from '../storage/tree-keeper.ts'
import type { Config } from './config/schema.ts'
import { keyOf } from './coordinator/coordinator-context.ts'
import { DiskWatch } from './disk-watch.ts'
import type { NodePorts } from './node.ts'
import type { NodeMetrics } from './node-metrics.ts'
import type { EarlyMarks } from './repair/early-marks.ts'

/** Everything of a node that is on its disk. */
export interface NodeStorage {
  readonly disk: DiskWatch | null
  readonly store: Store
  readonly trees: HashTrees
  readonly keeper: TreeKeeper
  /** Bytes that may wait to be written. */
  readonly pendingBytesMax: number
  /** Why nothing works any more; null where the storage works. */
  failure(): AnnealError | null
  /** Why this node takes no writes at the moment; null where it does. */
  writesRefused(): AnnealError | null
  /** From now on, who is told of damaged rows that are no objects. */
  onAsideDamage(callback: (row: Buffer, reason: string) => void): void
  /** For a node that does not come to be. Whatever fails meanwhile is of no interest any more. */
  close(): Promise<void>
}

export type StoragePorts = Pick<
  NodePorts,
  | 'clock'
  | 'timers'
  | 'random'
  | 'database'
  | 'isSalvaged'
  | 'log'
  | 'config'
  | 'readDisk'
  | 'onFailure'
>

const pendingBytesMax = 32 * 1024 * 1024
const identityRow = 'cluster-identity'

/**
 * Opens the store and its hash trees. What is found damaged is told to `early`.
 *
 * Errors: AnnealError where the data directory belongs to another node or cluster.
 */
export async function openNodeStorage(
  ports: StoragePorts,
  {
    metrics,
    keys,
    early
  }: { readonly metrics: NodeMetrics; readonly keys: ClusterKeys; readonly early: EarlyMarks }
): Promise<NodeStorage> {
  const { timers, log, config } = ports
  const { partitions } = config.cluster
  let failure: AnnealError | null = null
  const disk =
    ports.readDisk &&
    new DiskWatch({
      read: ports.readDisk,
      timers,
      log,
      minFreeBytes: config.limits.minFreeDiskBytes,
      nodeId: config.node.id,
      pendingBytes: () => store.pendingBytes
    })
  const watch: StoreWatch = {
    onWritten: (bytes) => disk?.noteWritten(bytes),
    onDamage: ({ token }) => early.damaged(partitionOf(token, partitions)),
    // Nobody knows which rows were there, and leaves that are to be counted anyway do not miss them.
    onUnreadable: (range) => {
      for (const partition of partitionsIn(range, partitions)) early.damaged(partition)
    },
    onAsideDamage: () => {},
    onFailure: (error) => {
      failure = error
      ports.onFailure(error)
    }
  }
  const trees = new HashTrees({ partitions, hasher: keys.tree })
  const store: Store = await openStore(ports, { metrics, trees, watch })
  await checkIdentity(store, config)
  if (ports.isSalvaged) {
    metrics.salvages.inc()
    for (let partition = 0; partition < partitions; partition++) early.salvaged(partition)
  }
  const keeper = await TreeKeeper.open({
    store,
    trees,
    hasher: keys.tree,
    clock: ports.clock,
    timers,
    log,
    events: { onLeafMismatch: (partition) => early.damaged(partition) }
  })
  return {
    disk,
    store,
    trees,
    keeper,
    pendingBytesMax,
    failure: () => failure,
    writesRefused: () => failure ?? disk?.refusal ?? null,
    onAsideDamage: (callback) => {
      watch.onAsideDamage = callback
    },
    async close() {
      await keeper.close().catch(() => {})
      await store.close().catch(() => {})
    }
  }
}

interface StoreWatch {
  readonly onWritten: (bytes: number) => void
  readonly onDamage: (key: ObjectKey) => void
  readonly onUnreadable: (range: RowRange) => void
  /** Set once somebody is there who knows what the row was. */
  onAsideDamage: (row: Buffer, reason: string) => void
  readonly onFailure: (error: AnnealError) => void
}

function openStore(
  ports: StoragePorts,
  {
    metrics,
    trees,
    watch
  }: { readonly metrics: NodeMetrics; readonly trees: HashTrees; readonly watch: StoreWatch }
): Promise<Store> {
  const { timers, random, log, config } = ports
  const database = withRowCache(ports.database, config.storage.rowCacheBytes)
  return Store.open({
    database,
    timers,
    random,
    log,
    durability: config.durability,
    pendingBytesMax,
    trees,
    keyOf,
    events: {
      onBatch: ({ operations, bytes }) => {
        metrics.batches.inc()
        metrics.batchOperations.inc(operations)
        metrics.batchBytes.inc(bytes)
        watch.onWritten(bytes)
      },
      onDamage: (key, reason) => {
        metrics.damagedRows.inc()
        watch.onDamage(key)
        log.error(
          { bucket: String(key.bucket), key: String(key.key), reason },
          'a stored row is damaged; it is taken from the other replicas'
        )
      },
      onUnreadable: (range) => {
        metrics.unreadableSlices.inc()
        watch.onUnreadable(range)
      },
      onAsideDamage: (row, reason) => watch.onAsideDamage(row, reason),
      onIncarnation: () => metrics.incarnations.inc(),
      onFailure: watch.onFailure
    }
  })
}

/** A data directory belongs to one node of one cluster, and its partitions never change. */
async function checkIdentity(store: Store, config: Config): Promise<void> {
  const own = {
    id: config.node.id,
    cluster: config.cluster.name,
    partitions: config.cluster.partitions
  }
  const found = store.readMeta(identityRow)
  if (found === null) return store.writeMeta(identityRow, Buffer.from(JSON.stringify(own)))
  const recorded: unknown = JSON.parse(found.toString())
  const names = { id: 'node.id', cluster: 'cluster.name', partitions: 'cluster.partitions' }
  const differences = Object.entries(own).flatMap(([field, value]) => {
    const before: unknown = Object(recorded)[field]
    if (before === value) return []
    const name = Reflect.get(names, field)
    return [`${name} was ${JSON.stringify(before)} and is now ${JSON.stringify(value)}`]
  })
  if (differences.length === 0) return
  await store.close()
  throw new AnnealError(
    'internal',
    `the data directory ${config.node.data} belongs to another node: ${differences.join(', ')}. Give this node a directory of its own, or go back to the old settings`
  )
}
