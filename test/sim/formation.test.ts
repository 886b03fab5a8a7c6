import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
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
})
