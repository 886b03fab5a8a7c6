import type { Database, DatabaseOperation } from './database.ts'

export interface SyncBarrierOptions {
  readonly database: Database
  /** What LevelDB collects in memory before it goes on in another log. */
  readonly writeBufferBytes: number
  /** Writes all that is in memory to tables, which are always synced, and begins an empty log. */
  readonly flush: () => Promise<void>
}

/**
 * Syncing a batch syncs the log that it is in, and what was not synced before may lie in an older log whose table is
 * still being written. So wherever LevelDB may have gone on to another log since the last flush, all is flushed before a
 * batch is synced. That is every few MiB: a flush for every sync would fill the disk with small tables.
 *
 * It is the batch afterwards that says if a flush has failed.
 */
export function withSyncBarrier({
  database,
  writeBufferBytes,
  flush
}: SyncBarrierOptions): Database {
  let hasUnsynced = false
  let inMemoryMax = emptyTableBytes
  return {
    ...database,
    async batch(operations, { sync }) {
      if (sync && hasUnsynced && inMemoryMax > writeBufferBytes) {
        await flush()
        inMemoryMax = emptyTableBytes
      }
      hasUnsynced = !sync
      inMemoryMax += memoryBytesMax(operations)
      await database.batch(operations, { sync })
    }
  }
}

// Its first block, with the head of the list.
const emptyTableBytes = 8 * 1024
// A node of the list at its highest, 104 bytes, a number of 8 bytes, two lengths of 5 and the alignment.
const bytesBesideEntryMax = 136
// Blocks have 4 KiB, and less than the last of it may stay unused where an entry of up to 1 KiB does not fit any more.
const blocksPerBytesMax = 1.5

/** No less than what LevelDB's table in memory grows by: `MemTable::Add`, `SkipList::NewNode`, `Arena::Allocate`. */
export function memoryBytesMax(operations: readonly DatabaseOperation[]): number {
  let bytes = 0
  for (const operation of operations) {
    bytes += operation.key.length + bytesBesideEntryMax
    if (operation.type === 'put') bytes += operation.value.length
  }
  return bytes * blocksPerBytesMax
}
