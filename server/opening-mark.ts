import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * A file that is there while a database is opened, and for a while after. LevelDB ends the whole process where damaged
 * files bring it to what it takes for impossible; so only the next process can say what is to be done.
 *
 * Answers with whether the process before has left it behind. It is a hint: where it cannot be written nothing follows.
 */
export async function leaveOpeningMark(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch {
    await mkdir(dirname(file), { recursive: true })
      .then(() => writeFile(file, ''))
      .catch(() => {})
    return false
  }
}

/** The database has been opened well, or the process has said why not. */
export function removeOpeningMark(file: string): Promise<void> {
  return rm(file, { force: true }).catch(() => {})
}
