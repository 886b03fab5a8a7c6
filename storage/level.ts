import { mkdir } from 'node:fs/promises'
import type { AbstractLevel } from 'abstract-level'
import { Level } from 'level'
import { AnnealError } from '../core/errors.ts'
import type { Database } from './database.ts'

export interface LevelOptions {
  readonly cacheBytes: number
  readonly writeBufferBytes: number
}

const bufferEncodings = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/**
 * Opens the LevelDB in `directory`, or creates it.
 *
 * Errors: AnnealError `internal` that says what is wrong with the directory and what to do.
 */
export async function openLevel(directory: string, options: LevelOptions): Promise<Database> {
  try {
    await mkdir(directory, { recursive: true })
    const level = new Level<Buffer, Buffer>(directory, {
      ...bufferEncodings,
      cacheSize: options.cacheBytes,
      writeBufferSize: options.writeBufferBytes,
      maxOpenFiles: 1000
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
        return await iterator.nextv(limit)
      } finally {
        await iterator.close()
      }
    },
    close: () => level.close()
  }
}

// One native call fetches a whole slice: rows are a few KiB at the most.
const sliceBytes = 16 * 1024 * 1024

function explain(directory: string, thrown: unknown): AnnealError {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  const reason = cause instanceof Error ? cause.message : String(cause)
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const whatToDo =
    code === 'LEVEL_LOCKED'
      ? 'Another process has it open: stop that one, or give this node a data directory of its own.'
      : code === 'LEVEL_CORRUPTION' || /corrupt/i.test(reason)
        ? 'The files are damaged. Move the directory away and start again: the node comes back empty and takes its data from the other replicas.'
        : 'Check that the directory exists, is writable and that its disk is not full.'
  return new AnnealError(
    'internal',
    `cannot open the database in ${directory}: ${reason}. ${whatToDo}`,
    {},
    thrown
  )
}
