import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partitionOf } from '../../ring/token.ts'
import { keyOf } from '../../server/coordinator/coordinator-context.ts'
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

/** A key whose first replica is in another region than the node that is asked, which holds none of it. */
function placesIn(cluster: SimCluster) {
  const [asked] = cluster.nodes
  assert.ok(asked)
  const { ring } = up(asked).cluster
  const node = (id: string | undefined) => cluster.nodes.find((other) => other.id === id)
  const regionOf = (id: string | undefined) => up(asked).cluster.member(id ?? '')?.region
  for (let i = 0; ; i++) {
    const { token } = keyOf(Buffer.from('b'), Buffer.from(`k${i}`))
    const replicas = ring.replicas(partitionOf(token, ring.partitions))
    const [far, near] = replicas.map(node)
    if (replicas.includes(asked.id) || regionOf(far?.id) === regionOf(asked.id)) continue
    assert.ok(near && far)
    return { key: `k${i}`, asked, near, far }
  }
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
  it('are those of the node that was asked, whoever coordinates the write', async () => {
    const cluster = await startOf('eu=1,us=1', ['eu', 'eu', 'us', 'us'])
    const { key, asked, near, far } = placesIn(cluster)
    const local = { ...put, w: 'local_quorum', sloppy: false } as const
    const write = () => cluster.settle(up(asked).data.put('b', key, local))
    const { coordinator } = await write()
    assert.equal(coordinator, near.id, 'although it comes second in the ring')
    await down(cluster, far)
    assert.equal((await write()).coordinator, near.id)
    far.start()
    assert.equal(await cluster.untilReady(60_000), true)
    await down(cluster, near)
    const details = { needed: 1, answered: 0, asked: 1, down: [near.id] }
    await assert.rejects(write(), { code: 'quorum_unavailable', details })
    await stop(cluster)
  })

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
