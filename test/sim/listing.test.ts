import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import type { WalkRequest } from '../../server/key-walk.ts'
import { SimCluster } from './sim-cluster.ts'

const settings = ['hints.enabled=false', 'repair.enabled=false', 'readRepair.mode=off']
const bucket = Buffer.from('bucket')
const nothing = { versions: [], mintActor: null }
const start = { partition: 0, from: Buffer.alloc(0) }
const everything: WalkRequest = {
  bucket,
  prefix: Buffer.alloc(0),
  limit: 1000,
  cursor: start,
  r: 'quorum',
  timeoutMs: 5000
}

async function stop(cluster: SimCluster): Promise<void> {
  for (const node of cluster.nodes) await cluster.settle(node.stop())
}

async function write(cluster: SimCluster, keys: readonly string[]): Promise<void> {
  const put = { contentType: 'text/plain', meta: [], w: 'all', value: Buffer.from('v') } as const
  for (const key of keys) await cluster.settle(cluster.nodeAt(0).data.put('bucket', key, put))
}

/** The rows vanish from one replica. */
async function lose(cluster: SimCluster, index: number, keys: readonly string[]): Promise<void> {
  const { store } = cluster.nodeAt(index)
  for (const key of keys) {
    const row = keyOf(bucket, Buffer.from(key))
    await cluster.settle(store.mutate(row, () => ({ next: nothing, result: null })).durable)
  }
}

describe('a listing in a simulated cluster', () => {
  it('keeps to its limit where the replicas hold different keys, and misses none', async () => {
    const cluster = new SimCluster({ seed: 1, nodes: 3, partitions: 8, settings })
    assert.equal(await cluster.start(), true)
    const keys = Array.from({ length: 60 }, (_, i) => `key ${i}`)
    await write(cluster, keys)
    const everySecond = (from: number) => keys.filter((_, i) => i % 2 === from)
    await lose(cluster, 0, everySecond(0))
    await lose(cluster, 1, everySecond(1))
    for (const limit of [1, 4, 10]) {
      const found: string[] = []
      let cursor: WalkRequest['cursor'] | null = start
      while (cursor !== null) {
        const request: WalkRequest = { ...everything, limit, cursor }
        const page = await cluster.settle(cluster.nodeAt(0).walk.page(request))
        assert.ok(page.keys.length <= limit, `${page.keys.length} keys for limit ${limit}`)
        found.push(...page.keys)
        cursor = page.next
      }
      assert.deepEqual(found.sort(), keys.toSorted())
    }
    await stop(cluster)
  })
})
