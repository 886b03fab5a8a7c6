import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import { SimCluster } from './sim-cluster.ts'

const objectKey = keyOf(Buffer.from('b'), Buffer.from('k'))
const request = { contentType: 'text/plain', meta: [], value: Buffer.from('x'), timeoutMs: 2000 }

/** Five nodes, a replica of the key in front, whose disks may be slowed down. */
async function clusterWithDisks() {
  const diskMs = { min: 0.1, max: 0.5 }
  const cluster = new SimCluster({ seed: 1, nodes: 5, settings: ['repair.enabled=false'], diskMs })
  assert.ok(await cluster.start(60_000))
  const ids = cluster.nodeAt(0).cluster.ring.replicas((objectKey.token[0] ?? 0) >> 4)
  const replicas = ids.flatMap((id) => cluster.nodes.find((node) => node.id === id) ?? [])
  const [first] = replicas
  assert.ok(first?.node)
  return { cluster, replicas, first: first.node, diskMs }
}

describe('a write to a node whose disk stands still', () => {
  for (const w of [1, 'all'] as const) {
    it(`times out with w=${w}, and is stored once the disk goes on`, async () => {
      const { cluster, first, diskMs } = await clusterWithDisks()
      const beganMs = cluster.time.nowMs
      diskMs.min = diskMs.max = 90_000
      const writing = cluster.settle(first.data.put('b', 'k', { ...request, w }), 600_000)
      await assert.rejects(writing, { code: 'timeout' })
      assert.equal(Math.round(cluster.time.nowMs - beganMs), request.timeoutMs)
      diskMs.min = diskMs.max = 1
      await cluster.time.advance(180_000)
      const { siblings } = await cluster.settle(first.data.get('b', 'k', { r: 'all' }))
      assert.deepEqual(
        siblings.map(({ value }) => String(value)),
        ['x']
      )
    })
  }

  it('times out where others were to stand in, who get nothing before its own copy', async () => {
    const { cluster, replicas, first, diskMs } = await clusterWithDisks()
    const gone = replicas.slice(1)
    for (const node of gone) node.crash()
    const noticed = () => gone.every(({ id }) => !first.peers.isUp(id))
    assert.ok(await cluster.time.runUntil(noticed, 60_000))
    const beganMs = cluster.time.nowMs
    diskMs.min = diskMs.max = 90_000
    const writing = cluster.settle(first.data.put('b', 'k', { ...request, w: 2 }), 600_000)
    await assert.rejects(writing, { code: 'timeout' })
    assert.equal(Math.round(cluster.time.nowMs - beganMs), request.timeoutMs)
  })
})
