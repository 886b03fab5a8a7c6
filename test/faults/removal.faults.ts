import { rmSync } from 'node:fs'
import type { Scenario } from './scenario.ts'

const afterRemovalMs = 1500

/** The data directory of one node is removed, while the node runs or while it is stopped. */
export const removalScenario: Scenario = {
  name: 'removal',
  what: 'data directory of one node removed while it runs, or is stopped',
  rounds: 4,
  quickRounds: 2,
  needs: [],
  async run(arena) {
    // Small tables, so that a node without its directory soon wants to make one.
    const cluster = await arena.plan({ set: ['storage.writeBufferBytes=65536'] })
    await arena.begin()
    while (arena.roundsDone < arena.rounds) {
      await arena.pass(500, 1000)
      const victim = arena.random.pick(cluster.nodes)
      const isRunning = arena.roundsDone % 2 === 0
      if (!isRunning) await victim.end(arena.random.pick(['SIGTERM', 'SIGKILL']))
      arena.oracle.copiesLost = 1
      victim.mayEnd = true
      rmSync(victim.settings.data, { recursive: true, force: true, maxRetries: 5 })
      await arena.pass(afterRemovalMs)
      const survived = victim.isRunning
      const ending = await victim.end('SIGKILL')
      if (isRunning && !survived) {
        arena.expect(ending === 1, `${victim.id} lost its directory and ended with ${ending}`)
      }
      await arena.judge()
      const how = isRunning
        ? survived
          ? 'while it ran'
          : 'which stopped it'
        : 'while it was stopped'
      arena.roundDone(`directory of ${victim.id} removed ${how}`)
    }
  }
}
