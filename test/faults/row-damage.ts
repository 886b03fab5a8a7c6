import { join } from 'node:path'
import { Level } from 'level'
import type { SeededRandom } from '../sim/seeded-random.ts'
import type { LaunchedProcess } from './launched-process.ts'

export const rowDamageKinds = ['removed', 'flipped', 'turned old'] as const
export type RowDamageKind = (typeof rowDamageKinds)[number]

/** Of objects and of large values, by their keys in hexadecimal. */
export type SavedRows = ReadonlyMap<string, Buffer>

/** Objects and large values: what a replica is there for. All else a node can do without, or work out again. */
const dataRows = [
  { gte: Buffer.from('o'), lt: Buffer.from('p') },
  { gte: Buffer.from('v'), lt: Buffer.from('w') }
]
const share = 0.5

export function databaseOf(node: LaunchedProcess): string {
  return join(node.settings.data, 'db')
}

/** The rows as they are now; no process may have the database open. */
export function saveRows(database: string): Promise<SavedRows> {
  return within(database, async (level) => {
    const rows = new Map<string, Buffer>()
    for (const range of dataRows) {
      for await (const [key, row] of level.iterator(range)) rows.set(key.toString('hex'), row)
    }
    return rows
  })
}

/**
 * Damages half of the rows so that LevelDB itself finds nothing wrong: takes them away, flips a bit in each, or puts
 * back what they were in `old`. Trees, index and everything else stay as they are. Answers with how many were damaged.
 */
export async function damageRows(
  database: string,
  kind: RowDamageKind,
  old: SavedRows,
  random: SeededRandom
): Promise<number> {
  const rows = await saveRows(database)
  return within(database, async (level) => {
    let damaged = 0
    for (const [id, row] of rows) {
      const before = old.get(id)
      const isToBeOld = before !== undefined && !before.equals(row)
      if (kind === 'turned old' ? !isToBeOld : random.chance(1 - share)) continue
      const key = Buffer.from(id, 'hex')
      if (kind === 'removed') await level.del(key)
      else await level.put(key, kind === 'flipped' ? flipped(row, random) : (before ?? row))
      damaged++
    }
    return damaged
  })
}

function flipped(row: Buffer, random: SeededRandom): Buffer {
  const copy = Buffer.from(row)
  const at = random.int(copy.length)
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << random.int(8)), at)
  return copy
}

async function within<T>(
  database: string,
  action: (level: Level<Buffer, Buffer>) => Promise<T>
): Promise<T> {
  const encodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
  const level = new Level<Buffer, Buffer>(database, encodings)
  try {
    await level.open()
    return await action(level)
  } finally {
    await level.close()
  }
}
