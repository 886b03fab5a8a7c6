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

  it('ends a page that takes long, with a cursor, and goes on where it ended', async () => {
    const cluster = new SimCluster({ seed: 2, nodes: 3, partitions: 8, settings })
    assert.equal(await cluster.start(), true)
    const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`)
    await write(cluster, keys)
    for (const other of ['n2', 'n3']) {
      cluster.network.setLatency('n1', other, { minMs: 100, maxMs: 100 })
    }
    const found: string[] = []
    let cursor: WalkRequest['cursor'] | null = start
    let pages = 0
    for (; cursor !== null; pages++) {
      const request: WalkRequest = { ...everything, timeoutMs: 1000, cursor }
      const beganMs = cluster.time.nowMs
      const page = await cluster.settle(cluster.nodeAt(0).walk.page(request))
      assert.ok(cluster.time.nowMs - beganMs <= 1000, 'a page keeps to its time')
      found.push(...page.keys)
      cursor = page.next
    }
    assert.deepEqual(found.sort(), keys.toSorted())
    assert.ok(pages > 1 && pages < 8, `${pages} pages`)
    await stop(cluster)
  })

  it('gets around a replica that hangs, and says so in time where too many do', async () => {
    const cluster = new SimCluster({ seed: 3, nodes: 5, partitions: 8, settings })
    assert.equal(await cluster.start(), true)
    const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`)
    await write(cluster, keys)
    cluster.nodes[1]?.pause()
    const page = await cluster.settle(cluster.nodeAt(0).walk.page(everything))
    assert.ok(page.keys.length > 0)
    for (const hanging of [2, 3]) cluster.nodes[hanging]?.pause()
    const beganMs = cluster.time.nowMs
    const refused = cluster.nodeAt(0).walk.page({ ...everything, timeoutMs: 400 })
    const [answer] = await cluster.settle(Promise.allSettled([refused]))
    assert.equal(answer?.status === 'rejected' && answer.reason.code, 'timeout')
    assert.ok(cluster.time.nowMs - beganMs < 500, 'the time is that of the whole call')
    for (const hanging of [1, 2, 3]) cluster.nodes[hanging]?.resume()
    await stop(cluster)
  })

  it('is for each region to answer that the quorum names, and for no other', async () => {
    const regional = [...settings, 'replication.regions=eu=2,us=2']
    const regions = ['eu', 'eu', 'us', 'us']
    const cluster = new SimCluster({ seed: 4, nodes: 4, settings: regional, regions })
    assert.equal(await cluster.start(), true)
    await write(cluster, ['key'])
    cluster.nodes[1]?.crash()
    const first = cluster.nodeAt(0)
    await cluster.time.runUntil(() => !first.peers.isUp('n2'), 60_000)
    for (const r of ['local_quorum', 'each_quorum'] as const) {
      const refused = first.walk.page({ ...everything, r })
      const [answer] = await cluster.settle(Promise.allSettled([refused]))
      assert.ok(answer?.status === 'rejected', `${r} is not met`)
      assert.equal(answer.reason.code, 'quorum_unavailable')
      const { needed, answered, asked, down } = answer.reason.details
      assert.deepEqual([needed, answered, asked], [2, 1, 2], 'of the region that fell short')
      assert.deepEqual(down, ['n2'])
    }
    const elsewhere = cluster.nodeAt(2).walk.page({ ...everything, r: 'local_quorum' })
    assert.deepEqual((await cluster.settle(elsewhere)).keys, ['key'])
    await stop(cluster)
  })

  it('shows of a bucket that keeps the latest write what a read finds', async () => {
    const cluster = new SimCluster({ seed: 5, nodes: 3, settings })
    assert.equal(await cluster.start(), true)
    const { data, walk, cluster: state } = cluster.nodeAt(0)
    const write = {
      contentType: 'text/plain',
      meta: [],
      w: 'all',
      value: Buffer.from('v')
    } as const
    const first = await cluster.settle(data.put('bucket', 'key', write))
    await cluster.settle(data.put('bucket', 'key', write))
    // Leaves the second value beside the tombstone.
    await cluster.settle(data.delete('bucket', 'key', { context: first.context, w: 'all' }))
    assert.deepEqual((await cluster.settle(walk.page(everything))).keys, ['key'])
    state.setBucket('bucket', { conflict: 'lww', ttlSeconds: null, r: null, w: null })
    const spread = () =>
      [0, 1, 2].every((i) => cluster.nodeAt(i).cluster.conflictModeOf(bucket) === 'lww')
    assert.equal(await cluster.time.runUntil(spread, 60_000), true)
    assert.equal((await cluster.settle(data.get('bucket', 'key', { r: 'all' }))).state, 'deleted')
    for (const r of [1, 'all'] as const) {
      assert.deepEqual((await cluster.settle(walk.page({ ...everything, r }))).keys, [])
    }
    await stop(cluster)
  })
})
