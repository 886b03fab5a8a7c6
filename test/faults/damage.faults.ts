import { renameSync } from 'node:fs'
import { join } from 'node:path'
import type { Arena } from './arena.ts'
import { damageFiles, damageKinds, fileKinds } from './file-damage.ts'
import type { LaunchedProcess } from './launched-process.ts'
import type { Scenario } from './scenario.ts'

const cases = (['SIGTERM', 'SIGKILL'] as const).flatMap((signal) =>
  damageKinds.flatMap((damage) => fileKinds.map((file) => ({ signal, damage, file })))
)
const startSeconds = 60

/**
 * Bits flipped in, and ends cut off, the files of one node's database while the node is stopped. It may start with what
 * is left, or refuse to with a message that says what to do; then the directory is moved away, as the message says.
 */
export const damageScenario: Scenario = {
  name: 'damage',
  what: 'bits flipped in and truncation of .ldb, .log and MANIFEST of one node',
  rounds: cases.length,
  quickRounds: cases.length / 2,
  needs: [],
  async run(arena) {
    // Small tables, so that there are many of them.
    const set = ['storage.writeBufferBytes=65536', 'storage.cacheBytes=0']
    const cluster = await arena.plan({ set })
    await arena.begin()
    while (arena.roundsDone < arena.rounds) {
      const round = cases[arena.roundsDone % cases.length] ?? {
        signal: 'SIGKILL',
        damage: 'bits',
        file: 'log'
      }
      await arena.pass(1000, 2000)
      const victim = arena.random.pick(cluster.nodes)
      await victim.end(round.signal)
      arena.oracle.copiesLost = 1
      const done = damageFiles(databaseOf(victim), round.file, round.damage, arena.random)
      victim.mayEnd = true
      const start = await startDamaged(arena, victim)
      await arena.pass(500, 1000)
      let later = ''
      await arena.judge(async (node) => {
        await replace(arena, node)
        later = ', stopped later, and started empty'
      })
      arena.roundDone(
        `${victim.id} after ${round.signal}: ${done ?? `no ${round.file}`}; ${start}${later}`
      )
    }
  }
}

function databaseOf(node: LaunchedProcess): string {
  return join(node.settings.data, 'db')
}

/** Answers with what the node did, for people. */
async function startDamaged(arena: Arena, victim: LaunchedProcess): Promise<string> {
  victim.spawn()
  try {
    await victim.until('is ready', () => victim.isReady(), startSeconds)
    return 'started'
  } catch {
    await replace(arena, victim)
    return 'refused, and started empty'
  }
}

/** The node has ended, or should have: it must have said what to do, which is done then. */
async function replace(arena: Arena, victim: LaunchedProcess): Promise<void> {
  const ending = await victim.end('SIGKILL')
  arena.expect(
    ending === 1 && /move the (data )?directory away/i.test(victim.lastLines()),
    `with damaged files ${victim.id} ended (${ending}) and did not say what to do\n${victim.lastLines()}`
  )
  renameSync(databaseOf(victim), `${databaseOf(victim)}.${arena.roundsDone}`)
  victim.mayEnd = false
  victim.spawn()
  await victim.until('is ready', () => victim.isReady(), startSeconds)
}
