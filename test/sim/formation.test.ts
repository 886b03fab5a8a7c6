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
})
