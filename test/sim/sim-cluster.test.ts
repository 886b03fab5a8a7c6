import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SimCluster } from './sim-cluster.ts'

const text = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes ?? []).toString()

async function script(seed: number) {
  const cluster = new SimCluster({ seed, nodes: 3, clockOffsetMsMax: 1000, driftPpmMax: 100 })
  assert.equal(await cluster.start(), true, 'the cluster gets ready')
  const [n1, n2, n3] = cluster.nodes.map(({ node }) => node)
  assert.ok(n1 && n2 && n3)
  const put = { contentType: 'text/plain', meta: [] }
  const first = await cluster.settle(n1.data.put('b', 'k', { ...put, value: Buffer.from('one') }))
  const seen = await cluster.settle(n2.data.get('b', 'k', {}))
  assert.deepEqual(
    seen.siblings.map((v) => text(v.value)),
    ['one']
  )
  await cluster.settle(n3.data.put('b', 'k', { ...put, value: Buffer.from('two') }))
  const both = await cluster.settle(n2.data.get('b', 'k', {}))
  assert.deepEqual(both.siblings.map((v) => text(v.value)).sort(), ['one', 'two'])
  const context = both.context ?? undefined
  await cluster.settle(n1.data.put('b', 'k', { ...put, value: Buffer.from('three'), context }))
  cluster.nodes[0]?.crash()
  const after = await cluster.settle(n3.data.get('b', 'k', {}))
  assert.deepEqual(
    after.siblings.map((v) => text(v.value)),
    ['three']
  )
  void cluster.nodes[0]?.start()
  assert.equal(await cluster.untilReady(60_000), true, 'the crashed node comes back')
  const back = cluster.nodes[0]?.node
  assert.ok(back)
  const onAll = await cluster.settle(back.data.get('b', 'k', { r: 'all' }))
  assert.deepEqual(
    onAll.siblings.map((v) => text(v.value)),
    ['three']
  )
  for (const node of cluster.nodes) await cluster.settle(node.stop())
  return { digest: cluster.network.traceDigest, etag: first.etag, events: cluster.time.eventCount }
}

describe('a simulated cluster', () => {
  it('serves gets and puts on virtual time, through a crash', async () => {
    const { events } = await script(1)
    assert.ok(events > 100)
  })

  it('repeats a run from its seed to the last message', async () => {
    assert.deepEqual(await script(7), await script(7))
    assert.notEqual((await script(7)).digest, (await script(8)).digest)
  })

  it("has a node that was paused go on at once, which takes its own silence for nobody else's", async () => {
    const cluster = new SimCluster({ seed: 5, nodes: 3 })
    assert.equal(await cluster.start(), true)
    const [victim, other] = cluster.nodes
    assert.ok(victim?.node && other?.node)
    victim.pause()
    const isDown = () => other.node?.peers.isUp(victim.id) === false
    assert.equal(await cluster.time.runUntil(isDown, 10_000), true, 'its peers notice')
    victim.resume()
    // The timers that are due come first; nothing that peers have sent is heard before the write begins.
    await cluster.time.advance(0)
    const put = { contentType: 'text/plain', meta: [], value: Buffer.from('x'), w: 'all' } as const
    const receipt = await cluster.settle(victim.node.data.put('b', 'k', { ...put, sloppy: false }))
    assert.equal(receipt.answered, 3)
  })
})
