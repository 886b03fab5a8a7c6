import { setTimeout as sleep } from 'node:timers/promises'
import type { Tree } from '../../server/cli/read-trees.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { type MetricsReading, metricsOf, treesOf } from './node-admin.ts'

export const graceMs = 1000

/**
 * What every cluster of the suite is started with, but for what a scenario sets itself. Comparing often makes a run short;
 * that repair gives way to users is not what is judged here, where several suites may share a machine. A tombstone that
 * is proven everywhere counts as absent and is not shipped any more, so a node that has lost one would differ for as long
 * as the grace period lasts.
 */
const healingSettings: readonly string[] = [
  'repair.intervalMs=1000',
  'repair.latencyTargetMs=5000',
  'repair.scrubRowsPerSecond=20000',
  `tombstones.graceMs=${graceMs}`
]

/** The settings of a scenario and, of those above, the ones that it says nothing about. */
export function withHealingSettings(set: readonly string[]): readonly string[] {
  const nameOf = (setting: string) => setting.split('=')[0]
  const own = new Set(set.map(nameOf))
  return [...healingSettings.filter((setting) => !own.has(nameOf(setting))), ...set]
}

const pollMs = 100
const equalMs = 90_000
const roundSeconds = 60

/** How it ended: with a node that ended, or with what is not as it should be; null where all is. */
export type HealingOutcome =
  | { readonly kind: 'nodeEnded' }
  | {
      readonly kind: 'judged'
      readonly wrong: string | null
      readonly equalAfterMs: number
      /** Leaves of trees that were not what the rows came to when the trees had become equal. */
      readonly leavesFound: number
    }

/**
 * Nobody reads or writes, and nobody asks for a repair. Within a minute and a half the trees of all nodes must be equal,
 * and be what the rows come to; after that every node takes part in further exchanges, and not one row is shipped.
 */
export async function watchHealing(nodes: readonly LaunchedProcess[]): Promise<HealingOutcome> {
  const sinceMs = performance.now()
  let leavesFound = 0
  const judged = (wrong: string | null): HealingOutcome => {
    const equalAfterMs = performance.now() - sinceMs
    return { kind: 'judged', wrong, equalAfterMs, leavesFound }
  }
  for (let last = 'nobody has answered'; performance.now() - sinceMs < equalMs; ) {
    if (nodes.some(({ isRunning }) => !isRunning)) return { kind: 'nodeEnded' }
    try {
      last = describeDifference(await Promise.all(nodes.map((node) => treesOf(node, false))))
      if (last === '') {
        // One after the other: which of them notices must not depend on who is asked first.
        const trees: (readonly Tree[])[] = []
        for (const node of nodes) trees.push(await treesOf(node, true))
        leavesFound += trees.flat().reduce((sum, { leaves = [] }) => sum + leaves.length, 0)
        const isVerified = trees.flat().every(({ verified }) => verified === true)
        last = isVerified ? describeDifference(trees) : 'rows are not what the trees say'
      }
    } catch (error) {
      last = String(error)
    }
    if (last === '') {
      const done = judged(null)
      const noise = await noiseAmong(nodes)
      return noise === null ? done : judged(noise)
    }
    await sleep(pollMs)
    if (performance.now() - sinceMs >= equalMs) return judged(`not equal by themselves: ${last}`)
  }
  return judged('not equal by themselves')
}

/**
 * Null where every node has compared itself with every other once more, and nobody has shipped a row. An exchange is
 * counted when it ends, and waits for differences that are young, so those that were under way have to end first.
 */
async function noiseAmong(nodes: readonly LaunchedProcess[]): Promise<string | null> {
  try {
    const before = await exchangesMore(nodes, 2)
    const after = await exchangesMore(nodes, 1)
    const shipped = (readings: readonly MetricsReading[]) => readings.map(rowsShipped).join()
    if (shipped(before) === shipped(after)) return null
    return `rows were shipped though all was equal: ${shipped(before)}, then ${shipped(after)}`
  } catch (error) {
    return `all was equal, and then: ${error}`
  }
}

/** Resolves once every pair has ended so many exchanges more, with what the metrics say then. */
async function exchangesMore(
  nodes: readonly LaunchedProcess[],
  more: number
): Promise<readonly MetricsReading[]> {
  const peers = nodes.map(({ id }) => id)
  const ended = (readings: readonly MetricsReading[]) =>
    readings.map((reading) => peers.map((peer) => exchangesEnded(reading, peer)))
  const before = ended(await Promise.all(nodes.map(metricsOf)))
  let readings: readonly MetricsReading[] = []
  for (const node of nodes) {
    const isThrough = async () => {
      readings = await Promise.all(nodes.map(metricsOf))
      return ended(readings).every((counts, i) =>
        counts.every((count, j) => i === j || count - (before[i]?.[j] ?? 0) >= more)
      )
    }
    await node.until('through a round of exchanges', isThrough, roundSeconds)
  }
  return readings
}

function rowsShipped(reading: MetricsReading): number {
  return (
    reading.sum('anneal_repair_rows_sent_total') + reading.sum('anneal_repair_rows_received_total')
  )
}

function exchangesEnded(reading: MetricsReading, peer: string): number {
  return (
    reading.sum('anneal_repair_exchanges_total', { peer, outcome: 'done' }) +
    reading.sum('anneal_repair_exchanges_answered_total', { peer })
  )
}

/** Empty where the same partitions have the same roots everywhere. */
function describeDifference(all: readonly (readonly Tree[])[]): string {
  const [first = [], ...others] = all
  const rootOf = new Map(first.map(({ partition, root }) => [partition, root]))
  const wrong = new Set<number>()
  for (const trees of others) {
    if (trees.length !== first.length) return 'the nodes hold different partitions'
    for (const { partition, root } of trees)
      if (rootOf.get(partition) !== root) wrong.add(partition)
  }
  const keys = all.map((trees) => trees.reduce((sum, tree) => sum + tree.keys, 0))
  if (wrong.size === 0) return ''
  return `${wrong.size} partitions differ (${[...wrong].slice(0, 8).join()}); keys ${keys.join()}`
}
