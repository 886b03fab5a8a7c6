import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import type { Node } from '../../server/node.ts'
import { SimCluster } from './sim-cluster.ts'

const settings = ['hints.enabled=false', 'repair.intervalMs=2000', 'tombstones.graceMs=1000']
const put = { contentType: 'text/plain', meta: [], w: 'all' } as const
const patienceMs = 120_000

async function startCluster(seed: number, more: readonly string[] = []): Promise<SimCluster> {
  const cluster = new SimCluster({ seed, nodes: 3, settings: [...settings, ...more] })
  assert.equal(await cluster.start(), true, 'the cluster gets ready')
  return cluster
}

function nodesOf(cluster: SimCluster): Node[] {
  return cluster.nodes.flatMap(({ node }) => (node === null ? [] : [node]))
}

async function compareAll(cluster: SimCluster, { repair }: Node): Promise<void> {
  const { runs } = repair.service
  const { id } = runs.start({ mode: 'incremental', dryRun: false, partitions: null })
  await cluster.time.runUntil(() => runs.status(id).state !== 'running', patienceMs)
  assert.equal(runs.status(id).state, 'done')
}

async function stop(cluster: SimCluster): Promise<void> {
  for (const node of cluster.nodes) await cluster.settle(node.stop())
}

describe('reads in a simulated cluster', () => {
  it('begin with the node itself, whatever place the ring gives it', async () => {
    const cluster = await startCluster(1, ['readRepair.mode=off'])
    const [first] = nodesOf(cluster)
    assert.ok(first)
    await cluster.settle(first.data.put('bucket', 'key', { ...put, value: Buffer.from('value') }))
    for (const asked of cluster.nodes) {
      const others = cluster.nodes.filter((node) => node !== asked)
      assert.ok(asked.node)
      // It answers reads once it has heard the others.
      await cluster.settle(asked.node.data.get('bucket', 'key', { r: 'all' }))
      for (const other of others) other.pause()
      const one = await cluster.settle(asked.node.data.get('bucket', 'key', { r: 1 }))
      assert.deepEqual([one.answered, one.asked], [1, 1])
      for (const other of others) other.resume()
    }
    await stop(cluster)
  })

  it('pass nothing on that all other replicas have let go, be the reader answered or not', async () => {
    const cluster = await startCluster(2)
    const [first, second, third] = nodesOf(cluster)
    assert.ok(first && second && third)
    const { context } = await cluster.settle(
      first.data.put('bucket', 'key', { ...put, value: Buffer.from('value') })
    )
    const key = keyOf(Buffer.from('bucket'), Buffer.from('key'))
    const before = third.store.read(key)
    assert.ok(before)
    const seen = await cluster.settle(first.data.delete('bucket', 'key', { context }))
    const allGone = () => nodesOf(cluster).every(({ store }) => store.read(key) === null)
    assert.equal(await cluster.time.runUntil(allGone, patienceMs), true, 'the tombstone goes')
    // A row that rotted into what it was before, which no checksum shows.
    third.store.mutate(key, () => ({
      next: { versions: before.versions, mintActor: null },
      result: null
    }))
    const read = first.data.get('bucket', 'key', { r: 1, context: seen.context })
    const answers = await cluster.settle(Promise.allSettled([read]))
    for (const answer of answers) {
      if (answer.status === 'fulfilled') assert.equal(answer.value.state, 'none')
    }
    await cluster.time.advance(1000)
    assert.equal(first.store.read(key), null)
    assert.equal(second.store.read(key), null)
    await stop(cluster)
  })

  it('say who refuses to answer, having an older disk than all have been proven to have', async () => {
    const cluster = await startCluster(3)
    const [, , third] = cluster.nodes
    assert.ok(third)
    for (const { repair } of nodesOf(cluster)) await cluster.settle(repair.service.pause())
    const before = third.disk.copy()
    const write = { ...put, value: Buffer.from('value') }
    await cluster.settle(cluster.nodeAt(0).data.put('bucket', 'key', write))
    for (const node of nodesOf(cluster)) await compareAll(cluster, node)
    await cluster.settle(third.stop())
    third.replaceDisk(before)
    void third.start()
    assert.equal(await cluster.untilReady(patienceMs), true)
    await cluster.time.advance(10_000)
    const read = cluster.nodeAt(0).data.get('bucket', 'key', { r: 3, timeoutMs: 1000 })
    const [answer] = await cluster.settle(Promise.allSettled([read]))
    assert.equal(answer?.status, 'rejected')
    assert.match(
      String(answer.reason.message),
      new RegExp(`2 of 3 answered .still fetching what they have missed: ${third.id}.$`)
    )
    await compareAll(cluster, cluster.nodeAt(2))
    const { state } = await cluster.settle(cluster.nodeAt(0).data.get('bucket', 'key', { r: 3 }))
    assert.equal(state, 'found')
    await stop(cluster)
  })
})

describe('writes in a simulated cluster', () => {
  it('do not claim what a row that has turned old has forgotten', async () => {
    const cluster = await startCluster(4, ['readRepair.mode=off', 'repair.enabled=false'])
    const first = cluster.nodeAt(0)
    const key = keyOf(Buffer.from('bucket'), Buffer.from('key'))
    const write = (text: string, context?: string) =>
      cluster.settle(first.data.put('bucket', 'key', { ...put, value: Buffer.from(text), context }))
    const one = await write('one')
    const before = first.store.read(key)
    assert.ok(before)
    await write('two', one.context)
    // A row that rotted into what it was before, which no checksum shows.
    first.store.mutate(key, () => ({ next: { ...before }, result: null }))
    const three = await write('three', one.context)
    await write('four', three.context)
    const second = cluster.nodeAt(1)
    const read = await cluster.settle(second.data.get('bucket', 'key', { r: 'all' }))
    const values = read.siblings.map(({ value }) => Buffer.from(value ?? []).toString())
    assert.deepEqual(values.sort(), ['four', 'two'])
    await stop(cluster)
  })
})
