import type { Arena } from './arena.ts'
import { BulkKeys, isBuried, isForgotten } from './bulk-keys.ts'
import { DiskCopy } from './disk-copy.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { metricsOf, setRepair } from './node-admin.ts'
import type { Scenario } from './scenario.ts'

interface Case {
  readonly victims: 1 | 2
  readonly signal: 'SIGTERM' | 'SIGKILL'
  /** Whether nothing but the proof of the other replicas still speaks of the deletes when the old disk comes back. */
  readonly collected: boolean
}

const cases: readonly Case[] = [
  { victims: 1, signal: 'SIGTERM', collected: false },
  { victims: 1, signal: 'SIGKILL', collected: true },
  { victims: 2, signal: 'SIGKILL', collected: false },
  { victims: 1, signal: 'SIGTERM', collected: true }
]
const keys = 200
const collectedSeconds = 120
const attemptsMax = 10

/**
 * The data directory of a node, or of two, is copied, and put back after much has been written and deleted. What was
 * deleted must not come back, whether the tombstones are still there or not, and what was acknowledged must survive.
 */
export const oldDiskScenario: Scenario = {
  name: 'old-disk',
  what: 'data directories replaced by copies from before deletes',
  rounds: cases.length,
  quickRounds: 2,
  needs: [],
  async run(arena) {
    await arena.plan({
      set: ['readRepair.mode=off', 'hints.enabled=false']
    })
    await arena.begin()
    const deleted = new BulkKeys(arena.oracle, 'old/deleted', keys)
    const replaced = new BulkKeys(arena.oracle, 'old/replaced', keys)
    while (arena.roundsDone < arena.rounds) {
      const round = cases[arena.roundsDone % cases.length]
      if (round === undefined) throw new RangeError('there is a case for each round')
      arena.roundDone(await travelBack(arena, round, deleted, replaced))
    }
  }
}

async function travelBack(
  arena: Arena,
  { victims: count, signal, collected }: Case,
  deleted: BulkKeys,
  replaced: BulkKeys
): Promise<string> {
  const { cluster, random } = arena
  const { nodes } = cluster
  await arena.quiet()
  for (const bulk of [deleted, replaced]) await bulk.write(nodes, 0.05)
  await arena.judge()
  const first = random.int(nodes.length)
  const victims = Array.from({ length: count }, (_, i) =>
    cluster.node(1 + ((first + i) % nodes.length))
  )
  await arena.quiet()
  const copies = await copied(victims, signal)
  await cluster.start()
  // Without exchanges nothing is proven, and so nothing is collected.
  if (!collected) await Promise.all(nodes.map((node) => setRepair(node, 'pause')))
  await deleted.delete(nodes)
  await replaced.write(nodes, 0.05)
  if (collected) await forgottenEverywhere(arena, deleted)
  else await buriedEverywhere(arena, deleted)
  arena.resume()
  await arena.pass(500, 1500)
  await arena.quiet()
  await Promise.all(victims.map((victim) => victim.end(signal)))
  const alarmsBefore = await alarmsAt(nodes)
  arena.oracle.copiesLost = count
  for (const copy of copies) copy.putBack()
  await cluster.start()
  if (!collected) await Promise.all(nodes.map((node) => setRepair(node, 'resume')))
  // Now clients come, before the old disk has been compared with anything.
  arena.resume()
  await arena.pass(500, 1500)
  await arena.judge()
  await arena.quiet()
  const alarms = (await alarmsAt(nodes)) - alarmsBefore
  arena.expect(!collected || alarms > 0, 'an old disk came back, and no alarm was raised')
  const gone = await deleted.countHeld(
    cluster.node(1),
    (held) => isBuried(held) || isForgotten(held)
  )
  arena.expect(gone === keys, `${keys - gone} of ${keys} deleted keys are back`)
  arena.resume()
  const what = collected ? 'deletes that are forgotten' : 'deletes'
  return `${victims.map(({ id }) => id).join(' and ')} from before ${what}; ${alarms} alarms`
}

async function copied(
  victims: readonly LaunchedProcess[],
  signal: Case['signal']
): Promise<DiskCopy[]> {
  await Promise.all(victims.map((victim) => victim.end(signal)))
  return victims.map((victim) => DiskCopy.take(victim))
}

async function forgottenEverywhere(arena: Arena, deleted: BulkKeys): Promise<void> {
  for (const node of arena.cluster.nodes) {
    const isDone = () => deleted.areAll(node, isForgotten)
    await node.until('collected the tombstones', isDone, collectedSeconds)
  }
}

/** Without repair only the writes themselves bring the tombstones to all nodes, and one may have come too late. */
async function buriedEverywhere(arena: Arena, deleted: BulkKeys): Promise<void> {
  const { nodes } = arena.cluster
  const missing = async () => {
    const all = await Promise.all(nodes.map((node) => deleted.areAll(node, isBuried)))
    return all.includes(false)
  }
  for (let attempt = 1; await missing(); attempt++) {
    if (attempt === attemptsMax) throw new Error('the deletes do not reach all nodes')
    await arena.pass(500)
    if (await missing()) await deleted.delete(nodes)
  }
}

/** Of the nodes that run, since each was started. */
async function alarmsAt(nodes: readonly LaunchedProcess[]): Promise<number> {
  const running = nodes.filter(({ isRunning }) => isRunning)
  const readings = await Promise.all(running.map(metricsOf))
  return readings.reduce((sum, reading) => sum + reading.sum('anneal_resurrection_alarms_total'), 0)
}
