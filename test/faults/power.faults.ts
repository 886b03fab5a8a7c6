import { join } from 'node:path'
import type { Arena } from './arena.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { PowerSwitch } from './power-switch.ts'
import type { Scenario } from './scenario.ts'

const oneVictim = 0.4
const noticesItself = 0.4
const noticeSeconds = 30
const nodes = 3

/** The power of one node, or of all at the same moment, is cut: what was not synced is gone. */
export const powerScenario: Scenario = {
  name: 'power',
  what: 'loss of power, at one node or at all: what was not synced is gone',
  rounds: 8,
  quickRounds: 3,
  needs: ['namespaces', 'ext4', 'python3'],
  async run(arena) {
    const disks = await begin(arena, 'fsync')
    while (arena.roundsDone < arena.rounds) {
      const all = [...disks.keys()]
      const victims = arena.random.chance(oneVictim) ? [arena.random.pick(all)] : all
      await arena.pass(500, 2500)
      const waits = arena.random.chance(noticesItself)
      await cutPower(arena, disks, victims, waits)
      await arena.judge()
      const how = waits ? 'which stopped by themselves' : 'killed'
      arena.roundDone(`${victims.map(({ id }) => id).join(', ')} without power, ${how}`)
    }
  }
}

/** The same with `durability: os`, to show that the arrangement does lose what was not synced. */
export const unsyncedPowerScenario: Scenario = {
  name: 'power-os',
  what: 'loss of power at all nodes with durability=os: this has to lose something',
  rounds: 1,
  quickRounds: 1,
  needs: ['namespaces', 'ext4', 'python3'],
  mustLose: true,
  async run(arena) {
    const disks = await begin(arena, 'os')
    while (arena.roundsDone < arena.rounds) {
      await arena.pass(2000)
      await cutPower(arena, disks, [...disks.keys()], false)
      await arena.judge()
      arena.roundDone('all nodes without power')
    }
  }
}

async function begin(
  arena: Arena,
  durability: 'fsync' | 'os'
): Promise<ReadonlyMap<LaunchedProcess, PowerSwitch>> {
  const set = [`durability=${durability}`, 'storage.writeBufferBytes=65536']
  const cluster = await arena.plan({ nodes, set })
  const disks = new Map<LaunchedProcess, PowerSwitch>()
  for (const node of cluster.nodes) {
    const image = join(arena.directory, `${node.id}.ext4`)
    const disk = await PowerSwitch.create(image, join(cluster.directory, node.id))
    arena.undo(() => disk.remove())
    disks.set(node, disk)
  }
  await arena.begin()
  return disks
}

/**
 * Either the processes go with the power, or they meet a disk that fails, and must stop. They stand still while it is cut:
 * of an fdatasync that is under way at that moment the file system says that it has succeeded, which it has not.
 */
async function cutPower(
  arena: Arena,
  disks: ReadonlyMap<LaunchedProcess, PowerSwitch>,
  victims: readonly LaunchedProcess[],
  waits: boolean
): Promise<void> {
  for (const victim of victims) victim.mayEnd = true
  await Promise.all(victims.map((victim) => victim.freeze()))
  await Promise.all(victims.map((victim) => disks.get(victim)?.off()))
  await Promise.all(
    victims.map((victim) => (waits ? noticed(arena, victim) : victim.end('SIGKILL')))
  )
  for (const victim of victims) await disks.get(victim)?.recover()
}

async function noticed(arena: Arena, victim: LaunchedProcess): Promise<void> {
  victim.signal('SIGCONT')
  const impatience = setTimeout(() => victim.signal('SIGKILL'), noticeSeconds * 1000)
  const ending = await victim.ended
  clearTimeout(impatience)
  arena.expect(
    ending === 1,
    `with a disk that fails ${victim.id} ended with ${ending}, not with 1\n${victim.lastLines()}`
  )
}
