import { rmSync } from 'node:fs'
import type { Arena } from './arena.ts'
import { BulkKeys } from './bulk-keys.ts'
import { damageFiles } from './file-damage.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { metricsOf } from './node-admin.ts'
import { replaceDatabase, startDamaged } from './refused-start.ts'
import {
  damageRows,
  databaseOf,
  type RowDamageKind,
  type SavedRows,
  saveRows
} from './row-damage.ts'
import type { Scenario } from './scenario.ts'

type Rot = RowDamageKind | 'tables with flipped bits' | 'truncated tables' | 'directory removed'

interface Case {
  readonly victims: 1 | 2
  readonly rot: Rot
  readonly signal: 'SIGTERM' | 'SIGKILL'
}

/**
 * What is done to two nodes comes after a stop in order. After a crash a node counts leaves anew that it had written to
 * lately, and rows that have gone from those by then leave no trace on it; two such nodes would outvote the third.
 */
const cases: readonly Case[] = [
  { victims: 1, rot: 'removed', signal: 'SIGKILL' },
  { victims: 2, rot: 'removed', signal: 'SIGTERM' },
  { victims: 1, rot: 'flipped', signal: 'SIGKILL' },
  { victims: 2, rot: 'flipped', signal: 'SIGTERM' },
  { victims: 1, rot: 'turned old', signal: 'SIGKILL' },
  { victims: 2, rot: 'turned old', signal: 'SIGTERM' },
  { victims: 2, rot: 'tables with flipped bits', signal: 'SIGKILL' },
  { victims: 2, rot: 'truncated tables', signal: 'SIGTERM' },
  { victims: 2, rot: 'directory removed', signal: 'SIGKILL' }
]
const keys = 300
const largeShare = 0.1
const scrubSeconds = 60
const nothingSaved: SavedRows = new Map()

/**
 * The data of one node, or of two, rots behind their backs. Nobody reads: the scrub has to find it, and the repair has to
 * fetch what is wrong or missing from whoever still has it. With two victims the third node has everything that all
 * three had before.
 */
export const rotScenario: Scenario = {
  name: 'rot',
  what: 'rows removed, flipped or turned old on one node or two; tables damaged; directories removed',
  rounds: cases.length,
  quickRounds: 4,
  needs: [],
  async run(arena) {
    const cluster = await arena.plan({
      set: [
        'readRepair.mode=off',
        'hints.enabled=false',
        'storage.writeBufferBytes=65536',
        'storage.cacheBytes=0',
        'storage.rowCacheBytes=0'
      ]
    })
    await arena.begin()
    const bulk = new BulkKeys(arena.oracle, 'rot', keys)
    while (arena.roundsDone < arena.rounds) {
      const round = cases[arena.roundsDone % cases.length]
      if (round === undefined) throw new RangeError('there is a case for each round')
      await arena.quiet()
      await bulk.write(cluster.nodes, largeShare)
      // All three have all of it, so that two of them may forget.
      await arena.judge()
      await arena.quiet()
      const first = arena.random.int(cluster.nodes.length)
      const victims = Array.from({ length: round.victims }, (_, i) =>
        cluster.node(1 + ((first + i) % cluster.nodes.length))
      )
      const done = await rot(arena, bulk, victims, round)
      await arena.judge((node) => replaceDatabase(arena, node))
      arena.roundDone(`${victims.map(({ id }) => id).join(' and ')}: ${round.rot}; ${done}`)
    }
  }
}

async function rot(
  arena: Arena,
  bulk: BulkKeys,
  victims: readonly LaunchedProcess[],
  { rot: what, signal }: Case
): Promise<string> {
  const saved = new Map<LaunchedProcess, SavedRows>()
  if (what === 'turned old') {
    await Promise.all(victims.map((victim) => victim.end('SIGTERM')))
    for (const victim of victims) saved.set(victim, await saveRows(databaseOf(victim)))
    await arena.cluster.start()
    await bulk.write(arena.cluster.nodes)
    await arena.judge()
    await arena.quiet()
  }
  await Promise.all(victims.map((victim) => victim.end(signal)))
  arena.oracle.copiesLost = victims.length
  const done: string[] = []
  for (const victim of victims) {
    victim.mayEnd = true
    const old = saved.get(victim) ?? nothingSaved
    done.push(await rotOne(arena, victim, what, old))
  }
  for (const victim of victims) done.push(await startDamaged(arena, victim))
  await arena.cluster.ready()
  if (isOfRows(what)) for (const victim of victims) await scrubbed(arena, victim)
  return done.join(', ')
}

async function rotOne(
  arena: Arena,
  victim: LaunchedProcess,
  what: Rot,
  old: SavedRows
): Promise<string> {
  const database = databaseOf(victim)
  if (isOfRows(what)) {
    const rows = await damageRows(database, what, old, arena.random)
    arena.expect(rows > 0, `no row of ${victim.id} could be damaged`)
    return `${rows} rows`
  }
  if (what === 'directory removed') {
    rmSync(victim.settings.data, { recursive: true, force: true })
    return 'all'
  }
  const kind = what === 'truncated tables' ? 'truncated' : 'bits'
  return damageFiles(database, 'table', kind, arena.random) ?? 'no tables'
}

function isOfRows(what: Rot): what is RowDamageKind {
  return what === 'removed' || what === 'flipped' || what === 'turned old'
}

/** Two whole rounds, of which the first may have begun before: after that nothing may be left for `verify` to find. */
async function scrubbed(arena: Arena, victim: LaunchedProcess): Promise<void> {
  const rounds = async () => (await metricsOf(victim)).sum('anneal_scrub_rounds_total')
  const before = await rounds()
  await victim.until(
    'scrubbed all rows twice',
    async () => (await rounds()) >= before + 2,
    scrubSeconds
  )
  const found = (await metricsOf(victim)).sum('anneal_scrub_damaged_leaves_total')
  arena.expect(found > 0, `the scrub of ${victim.id} found nothing wrong`)
}
