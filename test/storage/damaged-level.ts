import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Versions } from '../../storage/version.ts'
import { put, writeOf } from './open-store.ts'
import { temporaryLevel } from './temporary-level.ts'
import { keyWithToken, openWorld } from './tree-world.ts'

export const levelOptions = {
  cacheBytes: 1024 * 1024,
  writeBufferBytes: 8 * 1024 * 1024,
  maxOpenTables: 64
}
export const keys = Array.from({ length: 3000 }, (_, i) => keyWithToken(i * 1_400_000, `key ${i}`))

/** A LevelDB that is closed, and what its rows held before blocks of one table were made such as cannot be unpacked. */
export interface DamagedLevel {
  readonly directory: string
  readonly objects: ReadonlyMap<string, Versions>
}

export async function damagedLevel(t: TestContext): Promise<DamagedLevel> {
  const { directory, database } = await temporaryLevel(t)
  const world = await openWorld(database)
  for (const key of keys) put(world.store, key, writeOf('value '.repeat(60)))
  await world.store.drained()
  const objects = new Map(keys.map((key) => [key.id, world.store.read(key)?.versions ?? []]))
  await world.keeper.close()
  await world.store.close()
  const tables = (await readdir(directory)).filter((name) => name.endsWith('.ldb'))
  const sizes = await Promise.all(
    tables.map(async (name) => ({ name, size: (await stat(join(directory, name))).size }))
  )
  const largest = sizes.reduce((a, b) => (b.size > a.size ? b : a))
  const file = await open(join(directory, largest.name), 'r+')
  await file.write(Buffer.alloc(3000, 0xff), 0, 3000, Math.floor(largest.size * 0.4))
  await file.close()
  return { directory, objects }
}
