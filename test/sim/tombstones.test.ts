import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Node } from '../../server/node.ts'
import type { Outcome } from '../../server/peer/peer-link.ts'
import { SimCluster } from './sim-cluster.ts'

const settings = [
  'hints.enabled=false',
  'repair.intervalMs=2000',
  'cluster.heartbeatMs=500',
  'tombstones.graceMs=1000'
]
const put = { contentType: 'text/plain', meta: [] }
const keys = ['a', 'b', 'c', 'd', 'e']
const patienceMs = 120_000

async function startCluster(seed: number): Promise<SimCluster> {
  const cluster = new SimCluster({ seed, nodes: 3, settings })
  assert.equal(await cluster.start(), true, 'the cluster gets ready')
  return cluster
}

async function writeAll(cluster: SimCluster): Promise<void> {
  const node = cluster.nodeAt(0)
  for (const key of keys) {
    const value = Buffer.from(`value of ${key}`)
    await cluster.settle(node.data.put('bucket', key, { ...put, value, w: 'all' }))
  }
}

async function deleteAll(cluster: SimCluster): Promise<void> {
  const node = cluster.nodeAt(1)
  for (const key of keys) {
    const { context } = await cluster.settle(node.data.get('bucket', key, {}))
    await cluster.settle(node.data.delete('bucket', key, { context: context ?? undefined }))
  }
}

const collectedBy = ({ node }: { readonly node: Node | null }) =>
  node?.repair.collection.counts.collected ?? 0
const allCollected = (cluster: SimCluster) =>
  cluster.nodes.every((node) => collectedBy(node) === keys.length)

/** What any node would tell of the keys. */
async function statesOf(cluster: SimCluster): Promise<string[]> {
  const states: string[] = []
  for (let index = 0; index < 3; index++) {
    for (const key of keys) {
      const view = await cluster.settle(cluster.nodeAt(index).data.get('bucket', key, { r: 'one' }))
      states.push(view.state)
    }
  }
  return [...new Set(states)]
}

describe('tombstones in a simulated cluster', () => {
  it('are kept while a replica is down, and collected everywhere once all are proven', async () => {
    const cluster = await startCluster(1)
    await writeAll(cluster)
    cluster.nodes[2]?.crash()
    await cluster.time.advance(5000)
    await deleteAll(cluster)
    await cluster.time.advance(60_000)
    assert.deepEqual(cluster.nodes.map(collectedBy), [0, 0, 0])
    assert.deepEqual(cluster.nodeAt(0).repair.collection.counts.notProven, keys.length)
    void cluster.nodes[2]?.start()
    assert.equal(await cluster.untilReady(60_000), true)
    const isDone = await cluster.time.runUntil(
      () => cluster.nodes.slice(0, 2).every((node) => collectedBy(node) === keys.length),
      patienceMs
    )
    assert.equal(isDone, true, 'all tombstones go')
    assert.deepEqual(await statesOf(cluster), ['none'])
    for (const node of cluster.nodes) await cluster.settle(node.stop())
  })

  it('bury also what a node with an old disk is asked for as soon as it is there', async () => {
    const cluster = await startCluster(3)
    await writeAll(cluster)
    const [, , third] = cluster.nodes
    const before = third?.disk.copy()
    assert.ok(third && before)
    await deleteAll(cluster)
    assert.equal(await cluster.time.runUntil(() => allCollected(cluster), patienceMs), true)
    await cluster.settle(third.stop())
    third.replaceDisk(before)
    void third.start()
    assert.equal(await cluster.time.runUntil(() => third.node !== null, 60_000), true)
    const shown: string[] = []
    for (const key of Array.from({ length: 40 }, () => keys).flat()) {
      const reads = [2, 0].map((index) => cluster.nodeAt(index).data.get('bucket', key, { r: 1 }))
      const answers = await cluster.settle(Promise.allSettled(reads))
      for (const answer of answers) {
        shown.push(answer.status === 'fulfilled' ? answer.value.state : 'no answer')
      }
      await cluster.time.advance(10)
    }
    assert.deepEqual(
      [...new Set(shown)].filter((state) => state !== 'no answer'),
      ['none']
    )
    assert.equal(shown.at(-2), 'none', 'it answers in the end')
    for (const node of cluster.nodes) await cluster.settle(node.stop())
  })

  it('are not taken back in what a node with an old disk lists', async () => {
    const cluster = await startCluster(3)
    await writeAll(cluster)
    await cluster.time.advance(20_000)
    const [, , third] = cluster.nodes
    const before = third?.disk.copy()
    assert.ok(third && before)
    await deleteAll(cluster)
    assert.equal(await cluster.time.runUntil(() => allCollected(cluster), patienceMs), true)
    await cluster.settle(third.stop())
    third.replaceDisk(before)
    void third.start()
    assert.equal(await cluster.time.runUntil(() => third.node !== null, 60_000), true)
    const range = { bucket: Buffer.from('bucket'), prefix: Buffer.alloc(0), limit: 10 }
    const cursor = { partition: 0, from: Buffer.alloc(0) }
    const listed = new Set<string>()
    let lastStatus = ''
    for (let i = 0; i < 100; i++) {
      const page = cluster.nodeAt(2).walk.page({ ...range, cursor, r: 1, timeoutMs: 2000 })
      const [answer] = await cluster.settle(Promise.allSettled([page]))
      lastStatus = answer.status
      if (answer.status === 'fulfilled') for (const key of answer.value.keys) listed.add(key)
      for (let partition = 0; partition < cluster.partitions; partition++) {
        const ask = { kind: 'listKeys', ...range, partition, from: cursor.from } as const
        const outcome = await cluster.settle(
          new Promise<Outcome>((done) => {
            cluster.nodeAt(0).peers.request('n3', 'bulk', ask, 2000, done)
          })
        )
        if (outcome.kind !== 'keysListed') continue
        for (const { key, live } of outcome.keys) if (live) listed.add(`${key} to a peer`)
      }
      await cluster.time.advance(20)
    }
    assert.deepEqual([...listed], [])
    assert.equal(lastStatus, 'fulfilled', 'it answers in the end')
    for (const node of cluster.nodes) await cluster.settle(node.stop())
  })

  it('are not missed, once they are gone, by readers that had seen them', async () => {
    const cluster = new SimCluster({ seed: 4, nodes: 5, settings })
    assert.equal(await cluster.start(), true)
    const node = cluster.nodeAt(0)
    const written = await cluster.settle(
      node.data.put('bucket', 'a', { ...put, value: Buffer.from('a') })
    )
    const { context } = await cluster.settle(node.data.delete('bucket', 'a', written))
    const read = (index: number) =>
      cluster.settle(cluster.nodeAt(index).data.get('bucket', 'a', { context }))
    assert.equal((await read(3)).state, 'deleted')
    const isGone = () =>
      cluster.nodes.reduce((sum, each) => sum + collectedBy(each), 0) === 3 &&
      cluster.nodes.every((each) => each.node?.isReady)
    assert.equal(await cluster.time.runUntil(isGone, patienceMs), true)
    for (const index of cluster.nodes.keys()) assert.equal((await read(index)).state, 'none')

    // A replica that cannot be asked may be the one that has what was seen.
    const holder = cluster.nodes.find((each) => collectedBy(each) === 1)
    holder?.crash()
    await cluster.time.advance(10_000)
    const other = cluster.nodes.findIndex((each) => each !== holder)
    await assert.rejects(read(other), { code: 'stale' })
    for (const each of cluster.nodes) if (each !== holder) await cluster.settle(each.stop())
  })

  it('bring nothing back where a disk from before the delete returns', async () => {
    const cluster = await startCluster(2)
    await writeAll(cluster)
    await cluster.time.advance(20_000)
    const [, , third] = cluster.nodes
    const before = third?.disk.copy()
    assert.ok(third && before)
    const etags = new Map<string, string>()
    for (const key of keys) {
      const { etag } = await cluster.settle(cluster.nodeAt(0).data.get('bucket', key, {}))
      etags.set(key, etag)
    }
    await deleteAll(cluster)
    assert.equal(await cluster.time.runUntil(() => allCollected(cluster), patienceMs), true)
    await cluster.settle(third.stop())
    third.replaceDisk(before)
    void third.start()
    assert.equal(await cluster.untilReady(60_000), true)
    await cluster.time.advance(60_000)
    assert.deepEqual(await statesOf(cluster), ['none'])
    const aside = await cluster.settle(cluster.nodeAt(2).quarantine.list(100))
    assert.deepEqual(aside.map(({ key }) => key).sort(), keys)
    for (const { key, etag } of aside) assert.equal(etag, etags.get(key), 'as it was read')
    assert.equal(cluster.nodeAt(2).arriving.watermarks.partitionsBehind, 0)

    const [one] = aside
    assert.ok(one)
    await cluster.settle(cluster.nodeAt(2).quarantine.restore(one.id))
    const restored = await cluster.settle(cluster.nodeAt(0).data.get('bucket', one.key, {}))
    assert.deepEqual(
      restored.siblings.map(({ value }) => String(value)),
      [`value of ${one.key}`]
    )
    for (const node of cluster.nodes) await cluster.settle(node.stop())
  })
})
