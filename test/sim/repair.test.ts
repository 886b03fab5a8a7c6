import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { toHex } from '../../core/bytes.ts'
import type { Node } from '../../server/node.ts'
import { pairReports, summarizePairs } from '../../server/repair/repair-report.ts'
import { SimCluster } from './sim-cluster.ts'

const settings = [
  'hints.enabled=false',
  'readRepair.mode=off',
  'repair.intervalMs=5000',
  'cluster.heartbeatMs=500'
]

const put = { contentType: 'text/plain', meta: [] }

async function startCluster(seed: number, more: readonly string[] = []) {
  const cluster = new SimCluster({ seed, nodes: 3, settings: [...settings, ...more] })
  assert.equal(await cluster.start(), true, 'the cluster gets ready')
  return cluster
}

async function write(cluster: SimCluster, through: Node, count: number, prefix: string) {
  for (let i = 0; i < count; i++) {
    const value = Buffer.from(`${prefix} ${i}`)
    await cluster.settle(through.data.put('b', `${prefix}${i}`, { ...put, value }))
  }
}

function rootsOf(cluster: SimCluster): string[] {
  return cluster.nodes.map(({ node }) => {
    const { trees } = (node as Node).repair
    return trees.partitions.map((partition) => toHex(trees.root(partition))).join()
  })
}

const isEqual = (cluster: SimCluster) => new Set(rootsOf(cluster)).size === 1

describe('repair in a simulated cluster', () => {
  it('brings a node that was down level with the others, and ships each row once', async () => {
    const cluster = await startCluster(1)
    await write(cluster, cluster.nodeAt(0), 20, 'early')
    await cluster.time.advance(1000)
    cluster.nodes[2]?.crash()
    await cluster.time.advance(5000)
    await write(cluster, cluster.nodeAt(0), 50, 'missed')
    void cluster.nodes[2]?.start()
    assert.equal(await cluster.untilReady(60_000), true)
    assert.equal(await cluster.time.runUntil(() => isEqual(cluster), 10_000), true)
    await cluster.time.advance(5000)
    const shipped = cluster.nodes
      .flatMap(({ node }) => [...(node as Node).repair.totals.byPeer.values()])
      .reduce((sum, { counters }) => sum + counters.rowsSent, 0)
    assert.equal(shipped, 50)
    // From now on everything is equal, which all of them come to know.
    await cluster.time.advance(20_000)
    for (const { node } of cluster.nodes) {
      const { service } = (node as Node).repair
      const nowMs = (node as Node).clock.now()
      assert.equal(summarizePairs(service, nowMs).neverEqual, 0)
      for (const pair of pairReports(service, nowMs)) {
        assert.ok(['equal', 'running'].includes(pair.state), JSON.stringify(pair))
      }
    }
  })

  it('deletes a row in the key of which bits have flipped, and brings back what it was', async () => {
    const cluster = await startCluster(9)
    await write(cluster, cluster.nodeAt(0), 40, 'key')
    await cluster.time.advance(1000)
    const [victim] = cluster.nodes
    assert.ok(victim !== undefined)
    victim.crash()
    const image = victim.disk.copy()
    // In the token, in the bucket, in the key: of none a row is left where its names belong.
    for (const [i, id] of [...image.keys()].filter((id) => id.startsWith('o')).entries()) {
      const flipped = Buffer.from(id, 'latin1')
      const at = [2, 5, 11, flipped.length - 1][i % 4] ?? 0
      flipped[at] = (flipped[at] ?? 0) ^ 4
      image.set(flipped.toString('latin1'), image.get(id) ?? Buffer.alloc(0))
      image.delete(id)
    }
    victim.replaceDisk(image)
    void victim.start()
    assert.equal(await cluster.untilReady(60_000), true)
    const { keeper, trees } = (victim.node as Node).repair
    for (const partition of trees.partitions) await cluster.settle(keeper.verify(partition))
    assert.equal(await cluster.time.runUntil(() => isEqual(cluster), 60_000), true)
    await cluster.time.advance(60_000)
    const rows = cluster.nodes.map(({ disk }) => disk.rowsWritten('o').sort())
    assert.deepEqual(rows[0], rows[1])
    assert.equal(rows[0]?.length, 40)
  })

  it('compares everything at once when it is asked to, while background repair is paused', async () => {
    const cluster = await startCluster(2)
    for (const { node } of cluster.nodes)
      await cluster.settle((node as Node).repair.service.pause())
    cluster.nodes[1]?.crash()
    await cluster.time.advance(5000)
    await write(cluster, cluster.nodeAt(0), 30, 'k')
    void cluster.nodes[1]?.start()
    assert.equal(await cluster.untilReady(60_000), true)
    await cluster.time.advance(20_000)
    assert.equal(isEqual(cluster), false, 'nothing is repaired by itself')
    const { runs } = cluster.nodeAt(0).repair.service
    const dry = runs.start({ mode: 'incremental', dryRun: true, partitions: null })
    await cluster.time.runUntil(() => runs.status(dry.id).state !== 'running', 60_000)
    assert.equal(runs.status(dry.id).state, 'done')
    assert.equal(runs.status(dry.id).counters.differences, 30)
    assert.equal(isEqual(cluster), false, 'a dry run ships nothing')
    const { id } = runs.start({ mode: 'full', dryRun: false, partitions: null })
    await cluster.time.runUntil(() => runs.status(id).state !== 'running', 60_000)
    const { state, reason, counters, partitions } = runs.status(id)
    assert.deepEqual([state, reason], ['done', ''])
    assert.deepEqual(partitions, { done: 32, total: 32 })
    assert.deepEqual([counters.differences, counters.rowsSent, counters.rowsReceived], [30, 30, 0])
    assert.equal(isEqual(cluster), true)
  })

  it('finds what has vanished from a disk, and gets it back from the others', async () => {
    const cluster = await startCluster(3, ['repair.scrubRowsPerSecond=1000'])
    await write(cluster, cluster.nodeAt(0), 40, 'k')
    await cluster.time.advance(20_000)
    assert.equal(isEqual(cluster), true)
    const before = rootsOf(cluster)[0]
    const victim = cluster.nodes[2]
    assert.ok(victim)
    await cluster.settle(victim.stop())
    const image = victim.disk.copy()
    const objects = [...image.keys()].filter((key) => key.startsWith('o'))
    for (const key of objects.slice(0, 7)) image.delete(key)
    victim.disk.replace(image)
    void victim.start()
    assert.equal(await cluster.untilReady(60_000), true)
    // The trees were written down before the rows vanished: until the scrub comes by all seems to be well.
    const hasFound = () => cluster.nodeAt(2).repair.scrubbed.leaves > 0
    assert.equal(await cluster.time.runUntil(hasFound, 60_000), true)
    const isHealed = () => rootsOf(cluster)[2] === before && isEqual(cluster)
    assert.equal(await cluster.time.runUntil(isHealed, 60_000), true)
    const { repair } = cluster.nodeAt(2)
    for (const partition of repair.trees.partitions) {
      assert.deepEqual(await cluster.settle(repair.keeper.verify(partition)), [])
    }
    await cluster.time.advance(5000)
    const received = [...repair.totals.byPeer.values()].map(({ counters }) => counters.rowsReceived)
    assert.equal(
      received.reduce((sum, rows) => sum + rows, 0),
      7
    )
  })

  it('gives up a damaged row of which no other replica holds anything any more', async () => {
    const graces = ['repair.scrubRowsPerSecond=1000', 'tombstones.graceMs=1000']
    const cluster = await startCluster(4, graces)
    const { data } = cluster.nodeAt(0)
    await cluster.settle(data.put('b', 'k', { ...put, value: Buffer.from('v'), w: 'all' }))
    await cluster.settle(data.delete('b', 'k', { w: 'all' }))
    const holders = () => cluster.nodes.filter(({ disk }) => disk.rowsOf('o').length > 0)
    const isLast = () => holders().length === 1
    assert.equal(await cluster.time.runUntil(isLast, 120_000), true, 'two have collected it')
    assert.equal(await holders()[0]?.disk.tamper('flip'), true)
    const areGone = () => holders().length === 0
    assert.equal(await cluster.time.runUntil(areGone, 120_000), true, 'the third gives it up')
    const { state, answered } = await cluster.settle(
      cluster.nodeAt(1).data.get('b', 'k', { r: 'all' })
    )
    assert.deepEqual([state, answered], ['none', 3])
  })
})
