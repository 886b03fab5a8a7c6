import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Database } from '../../storage/database.ts'
import { openLevel } from '../../storage/level.ts'
import { type OpenedStore, openStore } from './open-store.ts'

export interface TemporaryLevel {
  readonly directory: string
  readonly database: Database
}

/** A real LevelDB in a directory that goes away with the test. Small buffers make it compact often. */
export async function temporaryLevel(
  t: TestContext,
  writeBufferBytes = 256 * 1024
): Promise<TemporaryLevel> {
  const directory = await mkdtemp(join(tmpdir(), 'anneal-level-'))
  const database = await openLevel(directory, {
    cacheBytes: 1024 * 1024,
    writeBufferBytes,
    maxOpenTables: 64
  })
  t.after(async () => {
    await database.close()
    await rm(directory, { recursive: true, force: true })
  })
  return { directory, database }
}

/** A store on a real LevelDB, with the turns of the real event loop. */
export async function temporaryStore(
  t: TestContext,
  writeBufferBytes?: number
): Promise<OpenedStore & TemporaryLevel> {
  const level = await temporaryLevel(t, writeBufferBytes)
  const opened = await openStore(level.database, {
    durability: 'os',
    timers: {
      set: (callback, delayMs) => setTimeout(callback, delayMs),
      clear() {},
      atEndOfTurn: (callback) => setImmediate(callback)
    }
  })
  return { ...level, ...opened, settle: () => opened.store.drained() }
}
