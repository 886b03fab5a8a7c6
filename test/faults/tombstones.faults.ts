import { rmSync } from 'node:fs'
import type { Arena } from './arena.ts'
import { BulkKeys, isBuried, isForgotten } from './bulk-keys.ts'
import { graceMs } from './healing.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { metricsOf } from './node-admin.ts'
import type { Scenario } from './scenario.ts'

/** How a replica is away while keys are deleted, and how it comes back. */
const absences = ['killed', 'frozen', 'without its data directory'] as const
type Absence = (typeof absences)[number]

const keys = 150
const gracesPassed = 4
const collectedSeconds = 120

/**
 * One of three nodes is away for longer than the grace period while keys are deleted. The others must keep the
 * tombstones until it is back and is proven to have them; then they are collected everywhere, and nothing that was
 * deleted comes back, also after every node was killed.
 */
export const tombstonesScenario: Scenario = {
  name: 'tombstones',
  what: 'a node away past the grace of tombstones, which are kept, and collected once it has them',
  rounds: absences.length,
  quickRounds: 1,
  needs: [],
  async run(arena) {
    await arena.plan({
      set: ['readRepair.mode=off', 'hints.enabled=false']
    })
    await arena.begin()
    const bulk = new BulkKeys(arena.oracle, 'buried', keys)
    while (arena.roundsDone < arena.rounds) {
      const absence = absences[arena.roundsDone % absences.length] ?? 'killed'
      const victim = arena.random.pick(arena.cluster.nodes)
      await bulk.write(arena.cluster.nodes)
      await arena.judge()
      await arena.quiet()
      await oneAbsence(arena, bulk, victim, absence)
      arena.roundDone(
        `${victim.id} ${absence} while ${keys} keys were deleted; kept, then collected`
      )
    }
  }
}

async function oneAbsence(
  arena: Arena,
  bulk: BulkKeys,
  victim: LaunchedProcess,
  absence: Absence
): Promise<void> {
  const { cluster } = arena
  const others = cluster.nodes.filter((node) => node !== victim)
  if (absence === 'frozen') victim.signal('SIGSTOP')
  else await victim.end('SIGKILL')
  await bulk.delete(others)
  await arena.pass(gracesPassed * graceMs)
  for (const node of others) {
    await node.until('swept its tombstones', async () => (await notProven(node)) >= keys)
    const kept = await bulk.countHeld(node, isBuried)
    arena.expect(
      kept === keys,
      `${node.id} keeps ${kept} of ${keys} tombstones that ${victim.id} lacks`
    )
  }
  if (absence === 'frozen') victim.signal('SIGCONT')
  if (absence === 'without its data directory') {
    arena.oracle.copiesLost = 1
    rmSync(victim.settings.data, { recursive: true, force: true })
  }
  await arena.judge()
  await arena.quiet()
  await forgotten(arena, bulk, 'once it was proven')
  await Promise.all(cluster.nodes.map((node) => node.end('SIGKILL')))
  await arena.judge()
  await arena.quiet()
  await forgotten(arena, bulk, 'after all nodes were killed')
  arena.resume()
}

async function forgotten(arena: Arena, bulk: BulkKeys, when: string): Promise<void> {
  for (const node of arena.cluster.nodes) {
    const isDone = () => bulk.areAll(node, isForgotten)
    await node.until(`forgot what was deleted ${when}`, isDone, collectedSeconds)
  }
}

/** Tombstones that wait for a replica that is not proven to have them, as the last sweep found them. */
async function notProven(node: LaunchedProcess): Promise<number> {
  return (await metricsOf(node)).sum('anneal_tombstones_waiting', { reason: 'not_proven' })
}
