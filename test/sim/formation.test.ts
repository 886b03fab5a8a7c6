import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { bucketRecordsMax, bucketsMax } from '../../core/limits.ts'
import type { BucketRecord } from '../../ring/cluster-document.ts'
import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import { SimCluster } from './sim-cluster.ts'

// Who hears of nobody for 1.5 s becomes a member alone, and goes through whom it has dialed. With lines as slow as some of
// these, of the two links to each node one is open by then.
const latenciesMs = [20, 80, 120, 160, 200, 240, 300, 400, 500]

describe('nodes that start together find each other', () => {
  for (const nodes of [2, 3]) {
    test(`${nodes} of them, over lines of any speed`, async () => {
      for (const [seed, minMs] of latenciesMs.entries()) {
        const cluster = new SimCluster({ seed, nodes, latencyMs: { minMs, maxMs: minMs * 1.2 } })
        assert.ok(await cluster.start(60_000), `all are ready within a minute over ${minMs} ms`)
      }
    })
  }

  test('by names that are not what they advertise, which are not dialed again with every change', async () => {
    const seedNames = ['one.seeds:9801', 'two.seeds:9801', 'three.seeds:9801']
    const cluster = new SimCluster({ seed: 1, nodes: 3, seedNames })
    // The network numbers the links that are dialed.
    let dialed = 0
    cluster.network.onTrace = (line) => {
      dialed = Math.max(dialed, Number(/#(\d+)/.exec(line)?.[1]))
    }
    const later = () => cluster.time.run(cluster.time.nowMs + 10_000)
    assert.ok(await cluster.start(60_000))
    await later()
    const atStart = dialed
    assert.ok(atStart >= 12, 'two links between any two nodes, in both directions')
    const properties = { conflict: 'lww', ttlSeconds: null, r: null, w: null } as const
    for (const i of cluster.nodes.keys()) {
      cluster.nodeAt(i).cluster.setBucket(`bucket-${i}`, properties)
      await later()
    }
    assert.equal(cluster.nodeAt(0).cluster.propertiesOf('bucket-2').conflict, 'lww')
    assert.equal(dialed, atStart, 'links dialed since')
  })

  for (const nodes of [3, 4]) {
    test(`${nodes} of them, by one name that leads to each in turn`, async () => {
      for (let seed = 0; seed < 4; seed++) {
        const seedNames = Array.from({ length: nodes }, () => sharedName)
        const cluster = new SimCluster({ seed, nodes, seedNames })
        assert.ok(await cluster.start(300_000), `all have found each other, seed ${seed}`)
      }
    })
  }
})

const sharedName = 'any.seeds:9801'
const key = keyOf(Buffer.from('b'), Buffer.from('k'))
const write = { value: Buffer.from('x'), contentType: 'text/plain', meta: [], w: 3 }

describe('a name with several nodes behind it', () => {
  test('does not make two of them one', async () => {
    const settings = ['repair.enabled=false', 'hints.enabled=false']
    const seedNames = [sharedName, sharedName, sharedName]
    const cluster = new SimCluster({ seed: 1, nodes: 3, seedNames, settings })
    assert.ok(await cluster.start())
    const [restarted] = cluster.nodes
    assert.ok(restarted !== undefined)
    restarted.crash()
    // The one that starts again finds the third node under the shared name only, and only with every other link.
    cluster.network.alias(sharedName, '10.0.0.2:9801', '10.0.0.3:9801')
    cluster.network.alias('10.0.0.3:9801', '10.0.0.77:9801')
    void restarted.start()
    const isUp = (id: string) => restarted.node?.peers.isUp(id) === true
    assert.ok(await cluster.time.runUntil(() => isUp('n2'), 20_000))
    assert.equal(await cluster.time.runUntil(() => isUp('n3'), 20_000), false)
    cluster.network.alias('10.0.0.3:9801', '10.0.0.3:9801')
    assert.ok(await cluster.untilReady(60_000))
    const { answered } = await cluster.settle(cluster.nodeAt(0).data.put('b', 'k', write))
    assert.equal(answered, 3)
    assert.ok(cluster.nodeAt(2).store.read(key), 'who is said to have the write has it')
  })
})

describe('nodes that each give a bucket properties at once, where there is room for one', () => {
  const properties = { conflict: 'siblings', ttlSeconds: null, r: null, w: null } as const
  const bucketsOf = (count: number, record: Partial<BucketRecord>) =>
    new Map(
      Array.from({ length: count }, (_, i): [string, BucketRecord] => [
        `bucket-${i}`,
        { version: 1, writer: 'n1', properties, ...record }
      ])
    )
  const later = (cluster: SimCluster) => cluster.time.run(cluster.time.nowMs + 5000)

  async function clusterWith(buckets: Map<string, BucketRecord>): Promise<SimCluster> {
    const cluster = new SimCluster({ seed: 1, nodes: 3 })
    assert.ok(await cluster.start(60_000))
    const { cluster: first } = cluster.nodeAt(0)
    first.merge({ ...first.document, buckets })
    await later(cluster)
    return cluster
  }

  for (const [what, buckets] of [
    ['configured buckets', bucketsOf(bucketsMax - 1, {})],
    ['buckets that once were', bucketsOf(bucketRecordsMax - 1, { properties: null })]
  ] as const) {
    test(`stay a cluster: ${what}`, async () => {
      const cluster = await clusterWith(buckets)
      for (const i of [0, 1]) cluster.nodeAt(i).cluster.setBucket(`added-${i}`, properties)
      await later(cluster)
      const [first] = cluster.nodes
      assert.ok(first)
      await cluster.settle(first.stop())
      void first.start()
      await later(cluster)
      for (const { id, node } of cluster.nodes) {
        assert.ok(node !== null, `${id} runs`)
        assert.equal(node.cluster.document.buckets.size, buckets.size + 2)
        const others = cluster.nodes.filter((other) => other.id !== id)
        assert.ok(others.every((other) => node.peers.isUp(other.id)))
        const add = () => node.cluster.setBucket('one more', properties)
        assert.throws(add, { code: 'bad_parameter' })
      }
    })
  }

  test('and there is room again when others went back to the defaults', async () => {
    const cluster = await clusterWith(bucketsOf(bucketsMax, {}))
    const { cluster: state } = cluster.nodeAt(0)
    assert.throws(() => state.setBucket('one more', properties), { code: 'bad_parameter' })
    state.setBucket('bucket-7', properties)
    state.setBucket('bucket-7', null)
    state.setBucket('one more', properties)
    assert.throws(() => state.setBucket('bucket-7', properties), { code: 'bad_parameter' })
  })
})
