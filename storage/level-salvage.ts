import { link, mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { isDamage } from './damage.ts'
import { type LevelOptions, newestOf, openFiles } from './level.ts'
import { survivesSalvage } from './salvaged-rows.ts'

type OpenedFiles = Level<Buffer, Buffer>

const rowsAtOnce = 256

/**
 * How the rows of a damaged database are reached: by way of its own list of tables, which is fast, or from all tables that
 * are there, whatever the list says of them.
 */
export type SalvageWay = 'levels' | 'tables'

/**
 * Copies all rows that can be read of a database whose files are damaged, and which nobody has open, into a new one. The
 * old one stays, but for what LevelDB does to it when it opens it (`levels`). Answers with how many rows were copied.
 *
 * Files in which keys are out of order, or worse, may bring LevelDB to end the process without a word: it is a process
 * of its own that should do this. Errors: what LevelDB throws where it cannot make anything of the files; what writing
 * the new database throws.
 */
export async function salvageLevel(
  directory: string,
  into: string,
  options: LevelOptions,
  way: SalvageWay
): Promise<number> {
  const tables = `${into}.tables`
  await rm(into, { recursive: true, force: true })
  await rm(tables, { recursive: true, force: true })
  try {
    if (way === 'tables') await gatherTables(directory, tables)
    const source = await openFiles(way === 'tables' ? tables : directory, options)
    const target = await openFiles(into, options)
    try {
      return await copyReadable(source, target)
    } finally {
      await source.close()
      await target.close()
    }
  } finally {
    await rm(tables, { recursive: true, force: true })
  }
}

/** Whether LevelDB was merging tables when the process that had the database open ended. */
export async function diedMerging(directory: string): Promise<boolean> {
  const log = await readFile(join(directory, 'LOG'), 'latin1').catch(() => '')
  const begun = log.lastIndexOf('Compacting ')
  return begun > Math.max(log.lastIndexOf('compacted to'), log.lastIndexOf('Compaction error'))
}

/**
 * Opens a database, lets LevelDB merge tables for a while, and closes it. Where their files bring LevelDB to end the
 * process, it is this one. Errors: as LevelDB.
 */
export async function tryLevel(
  directory: string,
  options: LevelOptions,
  wait: () => Promise<void>
): Promise<void> {
  const level = await openFiles(directory, options)
  await wait()
  await level.close()
}

/** All tables in one level of a database of its own, which LevelDB reads, but cannot merge. */
async function gatherTables(from: string, to: string): Promise<void> {
  if (!canRepair(Level)) throw new Error('this kind of database cannot be put together anew')
  await mkdir(to, { recursive: true })
  // Files are replaced there, and never changed.
  const entries = await readdir(from, { withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && entry.name !== 'LOCK')
  if (files.length === 0) throw new Error('there are no files')
  for (const { name } of files) await link(join(from, name), join(to, name))
  await Level.repair(to)
  // Merging is where keys out of order end the process. Where its tables would go there are directories.
  const numbers = (await readdir(to)).map((name) => Number.parseInt(name.replace(/\D*/, ''), 10))
  const last = Math.max(0, ...numbers.filter(Number.isInteger))
  for (let number = last + 1; number <= last + tablesKeptFromMerging; number++) {
    await mkdir(join(to, `${String(number).padStart(6, '0')}.ldb`))
  }
}

// LevelDB gives up at the first one that it cannot write.
const tablesKeptFromMerging = 64

/** Of classic-level, which `level` is on Node, but says only of itself that it is abstract. */
interface Repairer {
  repair(directory: string): Promise<void>
}

function canRepair(level: object): level is Repairer {
  return 'repair' in level
}

async function copyReadable(source: OpenedFiles, target: OpenedFiles): Promise<number> {
  let rows = 0
  for await (const entries of readableEntries(source)) {
    const batch = target.batch()
    for (const [key, shown] of entries) {
      // Where the first key of a table is not what it was, it is only an iterator that finds its rows.
      const value = survivesSalvage(key) ? newestOf(source, key, shown) : null
      if (value === null) continue
      batch.put(key, value)
      rows++
    }
    await batch.write()
  }
  // What is synced last has everything before it synced.
  await target
    .batch()
    .put(lastKey, lastKey)
    .del(lastKey)
    .write({ ...{ sync: true } })
  return rows
}

const lastKey = Buffer.of(0)

/**
 * All rows, in pieces. An iterator goes past blocks that it cannot read, and only at its end says so, instead of the last
 * rows: those are read once more, one by one.
 */
async function* readableEntries(
  level: OpenedFiles
): AsyncGenerator<readonly (readonly [Buffer, Buffer])[]> {
  let last: Buffer | null = null
  for (const size of [rowsAtOnce, 1]) {
    const iterator = level.iterator<Buffer, Buffer>(last === null ? {} : { gt: last })
    try {
      for (;;) {
        const entries: [Buffer, Buffer][] = await iterator.nextv(size)
        if (entries.length === 0) return
        last = entries.at(-1)?.[0] ?? last
        yield entries
      }
    } catch (thrown) {
      if (!isDamage(thrown)) throw thrown
    } finally {
      await iterator.close()
    }
  }
}
