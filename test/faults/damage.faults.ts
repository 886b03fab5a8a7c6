import { damageFiles, damageKinds, fileKinds } from './file-damage.ts'
import { replaceDatabase, startDamaged } from './refused-start.ts'
import { databaseOf } from './row-damage.ts'
import type { Scenario } from './scenario.ts'

const cases = (['SIGTERM', 'SIGKILL'] as const).flatMap((signal) =>
  damageKinds.flatMap((damage) => fileKinds.map((file) => ({ signal, damage, file })))
)

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
    const set = [
      'storage.writeBufferBytes=65536',
      'storage.cacheBytes=0',
      'storage.rowCacheBytes=0'
    ]
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
        await replaceDatabase(arena, node)
        later = ', stopped later, and started empty'
      })
      arena.roundDone(
        `${victim.id} after ${round.signal}: ${done ?? `no ${round.file}`}; ${start}${later}`
      )
    }
  }
}
