import { mkdir, readdir } from 'node:fs/promises'
import type { AbstractLevel } from 'abstract-level'
import { Level } from 'level'
import { AnnealError } from '../core/errors.ts'
import { areFilesDamaged, isDamage } from './damage.ts'
import type { Database } from './database.ts'
import { withSyncBarrier } from './sync-barrier.ts'

export interface LevelOptions {
  readonly cacheBytes: number
  readonly writeBufferBytes: number
  /** Tables are mapped into memory whole, 2 MiB each. */
  readonly maxOpenTables: number
}

// What LevelDB takes off for its log, manifest and lock.
const openFilesBesideTables = 10
const bufferEncodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/**
 * Opens the LevelDB in `directory`, or creates it.
 *
 * Errors: AnnealError `internal` that says what is wrong with the directory and what to do.
 */
export async function openLevel(directory: string, options: LevelOptions): Promise<Database> {
  try {
    const level = await openFiles(directory, options)
    const database = adaptLevel(level)
    if (!isCompactable(level)) return database
    // Compacting a range writes out what is in memory before it finds that the range is empty.
    const flush = () => level.compactRange(belowAllKeys, belowAllKeys)
    return withSyncBarrier({ database, writeBufferBytes: options.writeBufferBytes, flush })
  } catch (thrown) {
    throw explain(directory, thrown)
  }
}

/** As `openLevel`, the database itself. Errors: its own. */
export async function openFiles(
  directory: string,
  options: LevelOptions
): Promise<Level<Buffer, Buffer>> {
  await mkdir(directory, { recursive: true })
  await checkFiles(directory)
  const level = new Level<Buffer, Buffer>(directory, {
    ...bufferEncodings,
    cacheSize: options.cacheBytes,
    writeBufferSize: options.writeBufferBytes,
    maxOpenFiles: options.maxOpenTables + openFilesBesideTables
  })
  await level.open()
  return level
}

/** Anything of the abstract-level family, opened with buffers for keys and values, as a Database. */
export function adaptLevel(
  level: AbstractLevel<string | Buffer | Uint8Array, Buffer, Buffer>
): Database {
  return {
    // Without options it does not look up encodings, for each row again.
    getSync: (key) => level.getSync(key),
    async batch(operations, { sync }) {
      // Handed over one by one they take two thirds of the time of an array.
      const batch = level.batch()
      for (const operation of operations) {
        if (operation.type === 'put') batch.put(operation.key, operation.value)
        else batch.del(operation.key)
      }
      await batch.write({ ...{ sync } })
    },
    async slice(from, to, limit) {
      const range = { gte: from, lt: to, limit: limit + 1, highWaterMarkBytes: sliceBytes }
      const iterator = level.iterator({ ...bufferEncodings, ...range })
      try {
        const rows = await readAll(iterator, limit)
        // What it read last stays in memory of its own, of which V8 knows nothing, until it is collected or reads again:
        // hundreds of MiB in a walk over everything. At its end it also tells of blocks that it went past.
        iterator.seek(belowAllKeys)
        await iterator.nextv(1)
        return rows
      } finally {
        await iterator.close()
      }
    },
    async sliceReadable(from, to, limit) {
      const iterator = level.iterator({ ...bufferEncodings, gte: from, lt: to, limit })
      const rows: [Buffer, Buffer][] = []
      try {
        // One by one: an iterator goes past a block that it cannot read, and says so, instead of the last rows, at its end.
        for (;;) {
          const [row] = await iterator.nextv(1)
          if (row === undefined) return rows
          rows.push([row[0], newestOf(level, row[0], noBytes) ?? noBytes])
        }
      } catch (thrown) {
        if (!isDamage(thrown)) throw thrown
        return rows
      } finally {
        await iterator.close()
      }
    },
    close: () => level.close()
  }
}

const noBytes = Buffer.alloc(0)

/**
 * What an iterator shows may be an older copy, where the newest is in a block that cannot be read: then null. `otherwise`
 * where there is none but for an iterator.
 */
export function newestOf(
  level: AbstractLevel<string | Buffer | Uint8Array, Buffer, Buffer>,
  key: Buffer,
  otherwise: Buffer
): Buffer | null {
  try {
    return level.getSync(key, bufferEncodings) ?? otherwise
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown
    return null
  }
}

/** Of classic-level, which `level` is on Node, but says only of itself that it is abstract. */
interface Compactable {
  compactRange(start: Buffer, end: Buffer): Promise<void>
}

function isCompactable(level: object): level is Compactable {
  return 'compactRange' in level
}

const belowAllKeys = Buffer.of(0)

/** A call may end early when it has gathered many bytes; only an empty one is the end of the range. */
async function readAll(
  iterator: { nextv(size: number): Promise<[Buffer, Buffer][]> },
  limit: number
): Promise<[Buffer, Buffer][]> {
  const rows = await iterator.nextv(limit)
  while (rows.length > 0 && rows.length < limit) {
    const more = await iterator.nextv(limit - rows.length)
    if (more.length === 0) break
    rows.push(...more)
  }
  return rows
}

// One native call fetches a whole slice: rows are a few KiB at the most.
const sliceBytes = 16 * 1024 * 1024

// LevelDB takes a directory without CURRENT for a new one, and deletes the tables that it finds there.
async function checkFiles(directory: string): Promise<void> {
  const files = await readdir(directory)
  if (files.includes('CURRENT') || !files.some(isOfRows)) return
  throw new Error('Corruption: the file CURRENT is gone, but there are tables')
}

/** Whether there are files from which a salvage could take rows. */
export async function holdsRows(directory: string): Promise<boolean> {
  const files = await readdir(directory).catch(() => [])
  return files.some(isOfRows)
}

function isOfRows(file: string): boolean {
  return /\.(ldb|log)$/.test(file)
}

/**
 * What a node met in its files while it started. LevelDB opens with tables that cannot be read, and says so only when
 * somebody reads there.
 *
 * Returns what was thrown where it has nothing to do with the database, otherwise as `openLevel` would throw it.
 */
export function explainFirstReads(directory: string, thrown: unknown): unknown {
  if (thrown instanceof AnnealError) return thrown
  return databaseFailure.test(causeOf(thrown).reason) ? explain(directory, thrown) : thrown
}

const databaseFailure = /^(IO error|Corruption)/

function explain(directory: string, thrown: unknown): AnnealError {
  const { reason, code } = causeOf(thrown)
  const whatToDo =
    code === 'LEVEL_LOCKED'
      ? 'Another process has it open: stop that one, or give this node a data directory of its own.'
      : areFilesDamaged(thrown)
        ? 'The files are damaged. Move the directory away and start again: the node comes back empty and takes its data from the other replicas.'
        : 'Check that the directory exists, is writable and that its disk is not full.'
  return new AnnealError(
    'internal',
    `cannot open the database in ${directory}: ${reason}. ${whatToDo}`,
    {},
    thrown
  )
}

function causeOf(thrown: unknown): { readonly reason: string; readonly code: unknown } {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  const reason = cause instanceof Error ? cause.message : String(cause)
  return { reason, code: cause instanceof Error && 'code' in cause ? cause.code : undefined }
}
