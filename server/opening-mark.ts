import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface LastOpening {
  /** The last process ended without a word while it opened the database, or shortly after. */
  readonly wasEnded: boolean
  /** How many processes in a row ended so while LevelDB merged tables. */
  readonly timesMerging: number
}

/**
 * Leaves a file that is there while a database is opened, and for a while after. LevelDB ends the whole process where
 * damaged files bring it to what it takes for impossible; so only the next process can say, and do, something about it.
 * `diedMerging` tells what LevelDB was at when the last process ended.
 *
 * It is a hint: where the file cannot be written nothing follows.
 */
export async function leaveOpeningMark(
  file: string,
  diedMerging: () => Promise<boolean>
): Promise<LastOpening> {
  const times = await readFile(file, 'utf8').then(Number, () => null)
  const timesMerging = times !== null && (await diedMerging()) ? (times || 0) + 1 : 0
  await mkdir(dirname(file), { recursive: true })
    .then(() => writeFile(file, String(timesMerging)))
    .catch(() => {})
  return { wasEnded: times !== null, timesMerging }
}

/** The database has been opened well, or the process has said why not. */
export function removeOpeningMark(file: string): Promise<void> {
  return rm(file, { force: true }).catch(() => {})
}
