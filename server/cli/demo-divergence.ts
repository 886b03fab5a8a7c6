import { cp, rename, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { DemoCluster } from './demo-cluster.ts'
import type { DemoNode } from './demo-node.ts'
import { CliExit, exitCodes } from './exit.ts'
import { differingPartitions, missingKeys, readTrees } from './read-trees.ts'
import { count } from './table.ts'

const bucket = 'demo'
const writers = 64
const hintsTimeoutMs = 10_000
const pollMs = 50

export interface Divergence {
  readonly keysMissing: number
  readonly partitionsDiffering: number
}

/**
 * Makes a node lack `keys` keys: it is set back to a copy of its disk from before they were written. All replicas had
 * acknowledged them, so nobody keeps hints of them, and only comparing finds them. Background repair is paused on every
 * node, so that there is time to look.
 *
 * Errors: CliExit where a node does not come back or a write fails.
 */
export async function diverge(
  cluster: DemoCluster,
  node: DemoNode,
  keys: number,
  say: (line: string) => void
): Promise<Divergence> {
  const { id, data } = node.plan
  const copy = `${data}.copy`
  for (const { client } of cluster.running) await client.switchRepair('pause')
  say('background repair is paused on every node, so that there is time to look')
  await withoutNode(cluster, node, async () => {
    await rm(copy, { recursive: true, force: true })
    await cp(data, copy, { recursive: true })
  })
  say(`the disk of ${id} is copied; ${count(keys, 'key')} are written to all replicas`)
  const prefix = Date.now().toString(36)
  await writeKeys(cluster, prefix, keys)
  await untilNoHints(cluster)
  await withoutNode(cluster, node, async () => {
    await rm(data, { recursive: true, force: true })
    await rename(copy, data)
  })
  const divergence = await compare(cluster, node)
  const { keysMissing, partitionsDiffering } = divergence
  say(
    `${id} is back with the old copy: ${count(keysMissing, 'key')} missing there, in ${count(partitionsDiffering, 'partition')}`
  )
  say(`  one of them: anneal key ${bucket} ${keyName(prefix, 0)}`)
  return divergence
}

/** As a power failure would, so that what the disk holds then is what a crash leaves. */
async function withoutNode(
  cluster: DemoCluster,
  node: DemoNode,
  work: () => Promise<void>
): Promise<void> {
  await node.kill()
  try {
    await work()
  } finally {
    cluster.start([node])
    await cluster.untilReady([node])
    await cluster.untilAllUp()
  }
}

/** All replicas confirm every write before this ends: what they had not, hints would bring to the node afterwards. */
async function writeKeys(cluster: DemoCluster, prefix: string, keys: number): Promise<void> {
  const client = cluster.nodes[0]?.client
  let next = 0
  const writer = async () => {
    while (next < keys) {
      const number = next++
      await client?.put(bucket, keyName(prefix, number), `value ${number}`, { w: 'all' })
    }
  }
  await Promise.all(Array.from({ length: writers }, writer))
}

function keyName(prefix: string, number: number): string {
  return `${prefix}-${String(number).padStart(6, '0')}`
}

/** A write that a replica was too slow for is handed over from a hint: that is waited for. */
async function untilNoHints(cluster: DemoCluster): Promise<void> {
  const deadline = performance.now() + hintsTimeoutMs
  for (const { client } of cluster.running) {
    while ((await client.hints()).some((backlog) => backlog.count > 0)) {
      if (performance.now() > deadline) {
        throw new CliExit(exitCodes.failed, 'hints are not handed over; see anneal hints')
      }
      await delay(pollMs)
    }
  }
}

async function compare(cluster: DemoCluster, node: DemoNode): Promise<Divergence> {
  const own = await readTrees(node.url, false)
  const others = cluster.running.filter((other) => other !== node)
  const trees = await Promise.all(others.map(({ url }) => readTrees(url, false)))
  return {
    keysMissing: missingKeys(own, trees),
    partitionsDiffering: differingPartitions([own, ...trees]).length
  }
}
