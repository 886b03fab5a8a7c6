import { renameSync } from 'node:fs'
import type { Arena } from './arena.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { databaseOf } from './row-damage.ts'

const startSeconds = 60

/** Starts a node whose files are damaged, and does what it says where it refuses. Answers with what it did, for people. */
export async function startDamaged(
  arena: Arena,
  node: LaunchedProcess,
  before = ''
): Promise<string> {
  node.spawn()
  try {
    await node.until('is ready', () => node.isReady(), startSeconds)
    return `${before}started`
  } catch {
    // LevelDB has ended the process without a word: the next one says what to do before it opens the database.
    const isFirst = before === ''
    if (isFirst && (await node.end('SIGKILL')) === 'SIGABRT') {
      return startDamaged(arena, node, 'aborted, then ')
    }
    await replaceDatabase(arena, node)
    return `${before}refused, and started empty`
  }
}

/**
 * The node has ended, or should have: it must have said that the directory is to be moved away, which is done then. It
 * starts empty and becomes ready.
 */
export async function replaceDatabase(arena: Arena, node: LaunchedProcess): Promise<void> {
  const ending = await node.end('SIGKILL')
  arena.expect(
    (ending === 1 || ending === 'SIGABRT') &&
      /move the (data )?directory away/i.test(node.lastLines()),
    `with damaged files ${node.id} ended (${ending}) and did not say what to do\n${node.lastLines()}`
  )
  renameSync(databaseOf(node), `${databaseOf(node)}.${arena.roundsDone}.${Date.now()}`)
  node.mayEnd = false
  node.spawn()
  await node.until('is ready', () => node.isReady(), startSeconds)
}
