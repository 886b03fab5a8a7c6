import type { Scenario } from './scenario.ts'

const pausesMs = [1000, 10_000, 60_000]
const quickPausesMs = [1000, 5000]

/** SIGSTOP of one node, for less and for longer than its peers take to notice, then SIGCONT. */
export const pauseScenario: Scenario = {
  name: 'pause',
  what: 'SIGSTOP of one node for 1, 10 and 60 s, SIGCONT',
  rounds: pausesMs.length,
  quickRounds: quickPausesMs.length,
  needs: [],
  async run(arena) {
    const cluster = await arena.plan()
    await arena.begin()
    const pauses = arena.isQuick ? quickPausesMs : pausesMs
    while (arena.roundsDone < arena.rounds) {
      const pauseMs = pauses[arena.roundsDone % pauses.length] ?? 0
      const victim = arena.random.pick(cluster.nodes)
      victim.signal('SIGSTOP')
      await arena.pass(pauseMs)
      victim.signal('SIGCONT')
      const readyMs = await cluster.ready()
      await arena.judge()
      arena.roundDone(
        `${victim.id} stopped for ${pauseMs / 1000} s, ready ${Math.round(readyMs)} ms after it went on`
      )
    }
  }
}
