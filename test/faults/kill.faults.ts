import type { Arena } from './arena.ts'
import type { Scenario } from './scenario.ts'

const twoVictims = 0.25
const readySeconds = 60

/** `kill -9` of random nodes, one or two of three at a time, over and over under load. */
export const killScenario: Scenario = {
  name: 'kill',
  what: 'kill -9 of one or two random nodes of three',
  rounds: 100,
  quickRounds: 8,
  needs: [],
  async run(arena) {
    await arena.plan()
    await arena.begin()
    while (arena.roundsDone < arena.rounds) {
      arena.roundDone(`killed ${await killAndRestart(arena)}`)
    }
    await arena.judge()
  }
}

async function killAndRestart(arena: Arena): Promise<string> {
  const { cluster, random } = arena
  const first = random.pick(cluster.nodes)
  const others = cluster.nodes.filter((node) => node !== first)
  const victims = random.chance(twoVictims) ? [first, random.pick(others)] : [first]
  await arena.pass(100, 500)
  await Promise.all(victims.map((victim) => victim.end('SIGKILL')))
  await arena.pass(0, 300)
  // Only the victims have to be ready: the next fault may come before the others have noticed that they are back.
  for (const victim of victims) victim.spawn()
  for (const victim of victims) {
    await victim.until('is ready', () => victim.isReady(), readySeconds)
  }
  return victims.map(({ id }) => id).join(' and ')
}
