import { setTimeout as sleep } from 'node:timers/promises'
import type { AnnealClient } from '../../client/client.ts'
import type { Cluster } from './cluster.ts'
import type { RepairScenario } from './repair-scenario.ts'

const agreementTimeoutMs = 30_000
const agreementPollMs = 50

/**
 * Makes one replica stale the way it happens: the node is down while the others take writes, or comes back without its
 * data. `write` writes that many keys through the other nodes. Resolves when the node is back and all see each other.
 */
export async function makeStale(
  cluster: Cluster,
  clients: readonly AnnealClient[],
  staleNode: number,
  { stale }: RepairScenario,
  write: (count: number) => Promise<void>,
  signal: AbortSignal
): Promise<void> {
  if (stale === 0) return
  await cluster.stopNode(staleNode)
  if (stale !== 'all') await write(stale)
  await cluster.startNode(staleNode, stale === 'all' ? 'removed' : 'kept')
  await untilUp(clients, signal)
}

/**
 * Resolves when each of these nodes takes all of them for up, and nobody else. Errors: rejects where after half a minute
 * some node still does not.
 */
export async function untilUp(
  clients: readonly AnnealClient[],
  signal: AbortSignal
): Promise<void> {
  const deadline = performance.now() + agreementTimeoutMs
  for (const client of clients) {
    for (;;) {
      const { node, cluster } = await client.status()
      const up = cluster.members.filter((member) => member.up).map(({ id }) => id)
      if (up.length === clients.length) break
      if (performance.now() > deadline) {
        throw new Error(`${node.id} takes ${up.join(', ')} for up after 30 seconds`)
      }
      await sleep(agreementPollMs, undefined, { signal })
    }
  }
}
