import { mkdir, readdir } from 'node:fs/promises'
import type { AbstractLevel } from 'abstract-level'
import { Level } from 'level'
import { AnnealError } from '../core/errors.ts'
import type { Database } from './database.ts'

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
    await mkdir(directory, { recursive: true })
    await checkFiles(directory)
    const level = new Level<Buffer, Buffer>(directory, {
      ...bufferEncodings,
      cacheSize: options.cacheBytes,
      writeBufferSize: options.writeBufferBytes,
      maxOpenFiles: options.maxOpenTables + openFilesBesideTables
    })
    await level.open()
    return adaptLevel(level)
  } catch (thrown) {
    throw explain(directory, thrown)
  }
}

/** Anything of the abstract-level family as a Database. */
export function adaptLevel(
  level: AbstractLevel<string | Buffer | Uint8Array, Buffer, Buffer>
): Database {
  return {
    getSync: (key) => level.getSync(key, bufferEncodings),
    batch: (operations, { sync }) => level.batch(operations, { ...bufferEncodings, ...{ sync } }),
    async slice(from, to, limit) {
      const range = { gte: from, lt: to, limit, highWaterMarkBytes: sliceBytes }
      const iterator = level.iterator({ ...bufferEncodings, ...range })
      try {
        return await readAll(iterator, limit)
      } finally {
        await iterator.close()
      }
    },
    close: () => level.close()
  }
}

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
  if (files.includes('CURRENT') || !files.some((name) => /\.(ldb|log)$/.test(name))) return
  throw new Error('Corruption: the file CURRENT is gone, but there are tables')
}

function explain(directory: string, thrown: unknown): AnnealError {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  const reason = cause instanceof Error ? cause.message : String(cause)
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const whatToDo =
    code === 'LEVEL_LOCKED'
      ? 'Another process has it open: stop that one, or give this node a data directory of its own.'
      : code === 'LEVEL_CORRUPTION' || /corrupt|IO error: .*No such file/i.test(reason)
        ? 'The files are damaged. Move the directory away and start again: the node comes back empty and takes its data from the other replicas.'
        : 'Check that the directory exists, is writable and that its disk is not full.'
  return new AnnealError(
    'internal',
    `cannot open the database in ${directory}: ${reason}. ${whatToDo}`,
    {},
    thrown
  )
}
