import { setTimeout as delay } from 'node:timers/promises'
import type { RepairRunStatus } from '../../client/repair-types.ts'
import type { DemoCluster } from './demo-cluster.ts'
import type { DemoNode } from './demo-node.ts'
import { progressLine, runSummary } from './progress-bar.ts'
import { differingPartitions, readTrees } from './read-trees.ts'
import { count } from './table.ts'

const pollMs = 50
const progressEveryMs = 1000
const columns = 100

export interface DemoRepair {
  readonly repairs: readonly RepairRunStatus[]
  readonly partitionsDiffering: number
}

/**
 * Has each of the nodes that are `asked` compare all that it shares with the others and bring both sides together, lets
 * background repair go on again on every node, and says whether the replicas are equal then.
 */
export async function repairDemo(
  cluster: DemoCluster,
  asked: readonly DemoNode[],
  say: (line: string) => void
): Promise<DemoRepair> {
  const repairs: RepairRunStatus[] = []
  for (const node of asked) {
    if (!node.isRunning) continue
    say(`${node.plan.id} compares what it shares with the others`)
    repairs.push(await follow(node, say))
  }
  for (const { client } of cluster.running) await client.switchRepair('resume')
  const trees = await Promise.all(cluster.running.map(({ url }) => readTrees(url, false)))
  const differing = differingPartitions(trees).length
  const all = new Set(trees.flat().map(({ partition }) => partition)).size
  say(
    differing === 0
      ? `all replicas are equal: ${all} of ${all} roots; background repair goes on`
      : `${count(differing, 'partition')} of ${all} differ; background repair goes on`
  )
  return { repairs, partitionsDiffering: differing }
}

async function follow(node: DemoNode, say: (line: string) => void): Promise<RepairRunStatus> {
  const { client } = node
  const id = await client.startRepair()
  const startedAt = performance.now()
  let saidAt = startedAt
  for (;;) {
    const run = await client.repairRun(id)
    if (run.state !== 'running') {
      for (const line of runSummary(run).split('\n')) say(`  ${line}`)
      return run
    }
    const now = performance.now()
    if (now - saidAt >= progressEveryMs) {
      saidAt = now
      const rowsPerSecond = ((run.rowsSent + run.rowsReceived) * 1000) / (now - startedAt)
      say(`  ${progressLine(run, { rowsPerSecond, columns })}`)
    }
    await delay(pollMs)
  }
}
