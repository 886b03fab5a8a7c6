import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Node } from '../../server/node.ts'
import { SimCluster } from './sim-cluster.ts'
import type { SimNode } from './sim-node.ts'

const put = { contentType: 'text/plain', meta: [], value: Buffer.from('x') }

async function startOf(replicas: string, regions: readonly string[]): Promise<SimCluster> {
  const settings = ['repair.enabled=false', `replication.regions=${replicas}`]
  const cluster = new SimCluster({ seed: 1, nodes: regions.length, regions, settings })
  assert.equal(await cluster.start(), true, 'the cluster gets ready')
  return cluster
}

function up({ node }: SimNode): Node {
  assert.ok(node)
  return node
}

async function down(cluster: SimCluster, gone: SimNode): Promise<void> {
  gone.crash()
  const noticed = () => cluster.nodes.every(({ node }) => node?.peers.isUp(gone.id) !== true)
  assert.equal(await cluster.time.runUntil(noticed, 60_000), true)
}

async function stop(cluster: SimCluster): Promise<void> {
  for (const { node } of cluster.nodes) if (node !== null) await cluster.settle(node.stop())
}

describe('quorums of one region', () => {
  it('count the replicas of that region where they are missed', async () => {
    const cluster = await startOf('eu=2,us=2', ['eu', 'eu', 'us', 'us'])
    const [first, second, third] = cluster.nodes
    assert.ok(first && second && third)
    await down(cluster, second)
    const details = { needed: 2, answered: 1, asked: 2, down: [second.id] }
    const missed = { code: 'quorum_unavailable', details }
    const { data } = up(first)
    const local = { w: 'local_quorum', r: 'local_quorum' } as const
    await assert.rejects(cluster.settle(data.put('b', 'k', { ...put, ...local })), missed)
    await assert.rejects(cluster.settle(data.get('b', 'k', local)), missed)
    const each = { ...put, w: 'each_quorum' } as const
    await assert.rejects(cluster.settle(up(third).data.put('b', 'k', each)), missed)
    await cluster.settle(up(third).data.put('b', 'k', { ...put, ...local }))
    await stop(cluster)
  })
})
