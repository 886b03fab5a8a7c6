import type { Database, DatabaseOperation } from './database.ts'
import { isObjectRowKey } from './keys.ts'
import { RowCache } from './row-cache.ts'

/**
 * A database whose rows of objects are answered from memory where they were read lately: most writes would go
 * to the disk, or to the tables that are mapped into memory, for the row that they replace. The rows in memory are exactly
 * those of the database: what a batch has written takes their place before anybody hears that it is written, and after
 * one that failed, of which nobody knows how much was written, nothing is left. A row that nobody has asked for is not
 * kept: those that a repair or an import brings by the million would push out the ones that are in use.
 */
export function withRowCache(database: Database, cacheBytes: number): Database {
  if (cacheBytes === 0) return database
  const cache = new RowCache(cacheBytes)
  const note = (operation: DatabaseOperation): void => {
    if (!isObjectRowKey(operation.key)) return
    if (operation.type === 'put') cache.replace(operation.key, operation.value)
    else cache.delete(operation.key)
  }
  return {
    ...database,
    getSync: (key) => {
      if (!isObjectRowKey(key)) return database.getSync(key)
      const cached = cache.get(key)
      if (cached !== undefined) return cached
      const bytes = database.getSync(key)
      if (bytes !== undefined) cache.set(key, bytes)
      return bytes
    },
    batch: async (operations, options) => {
      try {
        await database.batch(operations, options)
      } catch (thrown) {
        cache.clear()
        throw thrown
      }
      for (const operation of operations) note(operation)
    },
    forgetCached: () => cache.clear()
  }
}
