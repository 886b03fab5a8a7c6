import { rmSync } from 'node:fs'
import type { Arena } from './arena.ts'
import { BulkKeys, isBuried, isForgotten } from './bulk-keys.ts'
import { DiskCopy } from './disk-copy.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { hintsOf, metricsOf, setRepair } from './node-admin.ts'
import type { Scenario } from './scenario.ts'

const keys = 200
const largeShare = 0.5
/** Room for all small values and for a fraction of the large ones. */
const hintBytesMax = 128 * 1024
/** Hints are paced as repair is: so slow that a delivery can be met in the middle. */
const bytesPerSecond = 32 * 1024
const drainSeconds = 60

interface Case {
  readonly what: string
  readonly run: (arena: Arena, bulk: BulkKeys, parts: Parts) => Promise<string>
}

/** Who is away, who keeps hints for it, and both of these. */
interface Parts {
  readonly victim: LaunchedProcess
  readonly holders: readonly LaunchedProcess[]
  readonly nodes: readonly LaunchedProcess[]
}

const cases: readonly Case[] = [
  { what: 'drained, with repair paused', run: drained },
  { what: 'more than there is room for', run: overflowed },
  { what: 'a holder and the target killed while hints are handed over', run: killedMeanwhile },
  { what: 'the target comes back empty', run: targetEmpty },
  { what: 'hints on an old disk, after their deletes were collected', run: lateHints }
]

/** Hints for a node that is down: they drain when it is back, stay within their bound, and never do harm. */
export const hintsScenario: Scenario = {
  name: 'hints',
  what: 'a node down with hints on: drained, overflowed, interrupted, and on an old disk',
  rounds: cases.length,
  quickRounds: 3,
  needs: [],
  async run(arena) {
    const cluster = await arena.plan({
      set: [
        'readRepair.mode=off',
        `hints.maxBytesPerTarget=${hintBytesMax}`,
        `repair.maxBytesPerSecond=${bytesPerSecond}`
      ]
    })
    await arena.begin()
    const bulk = new BulkKeys(arena.oracle, 'hinted', keys)
    while (arena.roundsDone < arena.rounds) {
      const round = cases[arena.roundsDone % cases.length]
      if (round === undefined) throw new RangeError('there is a case for each round')
      const victim = arena.random.pick(cluster.nodes)
      const holders = cluster.nodes.filter((node) => node !== victim)
      await arena.quiet()
      await bulk.write(cluster.nodes)
      await arena.judge()
      await arena.quiet()
      const done = await round.run(arena, bulk, { victim, holders, nodes: cluster.nodes })
      await arena.judge()
      const left = await backlog(cluster.nodes)
      arena.expect(left.count === 0, `${left.count} hints are left after all is equal`)
      arena.roundDone(`${victim.id} down: ${round.what}; ${done}`)
    }
  }
}

async function drained(_: Arena, bulk: BulkKeys, { victim, holders, nodes }: Parts) {
  await Promise.all(nodes.map((node) => setRepair(node, 'pause')))
  const { count } = await missed(bulk, victim, holders)
  if (count < keys) throw new Error(`${keys} writes were missed, and there are ${count} hints`)
  victim.spawn()
  await drain(nodes)
  const held = await bulk.countHeld(victim, ({ versions }) => versions.length === 1)
  await Promise.all(nodes.map((node) => setRepair(node, 'resume')))
  return `${count} hints drained, ${held} keys as they should be`
}

async function overflowed(arena: Arena, bulk: BulkKeys, { victim, holders, nodes }: Parts) {
  const peak = { bytes: 0 }
  await victim.end('SIGKILL')
  const written = bulk.write(holders, largeShare)
  for (let isOver = false; !isOver; ) {
    isOver = await Promise.race([written.then(() => true), arena.pass(100).then(() => false)])
    for (const holder of holders) {
      for (const { bytes } of await hintsOf(holder)) peak.bytes = Math.max(peak.bytes, bytes)
    }
  }
  arena.expect(peak.bytes <= hintBytesMax, `${peak.bytes} bytes of hints, ${hintBytesMax} allowed`)
  const readings = await Promise.all(holders.map(metricsOf))
  const lost = readings.reduce((sum, one) => sum + one.sum('anneal_hints_overflowed_total'), 0)
  arena.expect(lost > 0, 'the hints were to overflow, and did not')
  victim.spawn()
  await drain(nodes)
  return `at most ${Math.round(peak.bytes / 1024)} KiB at one holder, ${lost} refused`
}

async function killedMeanwhile(arena: Arena, bulk: BulkKeys, parts: Parts) {
  const { victim, holders, nodes } = parts
  const { count } = await missed(bulk, victim, holders)
  victim.spawn()
  await victim.until('was handed a hint', async () => (await backlog(holders)).count < count)
  const holder = arena.random.pick(holders)
  await Promise.all([holder.end('SIGKILL'), victim.end('SIGKILL')])
  arena.resume()
  await arena.pass(500)
  await arena.cluster.start()
  await drain(nodes)
  return `${count} hints, ${holder.id} killed too`
}

async function targetEmpty(arena: Arena, bulk: BulkKeys, { victim, holders, nodes }: Parts) {
  const { count } = await missed(bulk, victim, holders)
  arena.oracle.copiesLost = 1
  rmSync(victim.settings.data, { recursive: true, force: true })
  arena.resume()
  victim.spawn()
  await drain(nodes)
  return `${count} hints drained`
}

/** The hints are handed over, and what they hold is deleted and forgotten; then the disk that has them comes back. */
async function lateHints(arena: Arena, bulk: BulkKeys, { victim, holders, nodes }: Parts) {
  await missed(bulk, victim, holders)
  const holder = arena.random.pick(holders)
  const { count } = await backlog([holder])
  await holder.end('SIGTERM')
  const copy = DiskCopy.take(holder)
  await arena.cluster.start()
  await drain(nodes)
  await bulk.delete(nodes)
  for (const node of nodes) {
    const isDone = () => bulk.areAll(node, isForgotten)
    await node.until('collected the tombstones', isDone, drainSeconds)
  }
  await holder.end('SIGKILL')
  arena.oracle.copiesLost = 1
  copy.putBack()
  arena.resume()
  await arena.judge()
  for (const node of nodes) {
    const gone = await bulk.countHeld(node, (held) => isBuried(held) || isForgotten(held))
    arena.expect(gone === keys, `${keys - gone} of ${keys} keys are back on ${node.id}`)
  }
  return `${count} old hints on ${holder.id}`
}

/** The writes that a node misses, and the hints that are kept of them. */
async function missed(
  bulk: BulkKeys,
  victim: LaunchedProcess,
  holders: readonly LaunchedProcess[]
): Promise<{ count: number; bytes: number }> {
  await victim.end('SIGTERM')
  await bulk.write(holders)
  return backlog(holders)
}

async function backlog(nodes: readonly LaunchedProcess[]) {
  const all = (await Promise.all(nodes.map(hintsOf))).flat()
  const sum = (of: 'count' | 'bytes') => all.reduce((total, one) => total + one[of], 0)
  return { count: sum('count'), bytes: sum('bytes') }
}

async function drain(nodes: readonly LaunchedProcess[]): Promise<void> {
  for (const node of nodes) {
    const isEmpty = async () => (await node.isReady()) && (await backlog([node])).count === 0
    await node.until('handed all hints over', isEmpty, drainSeconds)
  }
}
