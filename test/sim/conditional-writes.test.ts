import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AnnealError } from '../../core/errors.ts'
import type { KeyView } from '../../server/data-service.ts'
import { SimCluster } from './sim-cluster.ts'

const put = { contentType: 'text/plain', meta: [], value: Buffer.from('x') }
const latencyMs = { minMs: 150, maxMs: 150 }

describe('a conditional write', () => {
  it('has the time of one request for its look and the write', async () => {
    const cluster = new SimCluster({ seed: 1, nodes: 3, latencyMs, diskMs: { min: 0, max: 0 } })
    assert.equal(await cluster.start(), true, 'the cluster gets ready')
    const { data, clock } = cluster.nodeAt(0)
    // It answers reads once it has heard the others.
    await cluster.settle(data.get('b', 'k', {}))
    const states: string[] = []
    const precondition = ({ state }: KeyView) => void states.push(state)
    const write = (timeoutMs: number, given = precondition) =>
      cluster.settle(data.put('b', 'k', { ...put, timeoutMs, precondition: given }))
    const startedMs = clock.monotonic()
    // The way to another replica and back takes 300 ms, once for the look and once for the write.
    await assert.rejects(write(500), { code: 'timeout' })
    assert.ok(clock.monotonic() - startedMs <= 501)
    await write(700)
    assert.deepEqual(states, ['none', 'found'])
    const failed = new AnnealError('precondition_failed', 'no')
    const refuse = () => {
      throw failed
    }
    await assert.rejects(write(700, refuse), failed)
    await assert.rejects(cluster.settle(data.delete('b', 'k', { precondition: refuse })), failed)
    for (const node of cluster.nodes) await cluster.settle(node.stop())
  })
})
