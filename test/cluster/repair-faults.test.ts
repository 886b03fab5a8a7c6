import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { RepairStatus } from '../../client/repair-types.ts'
import { ClusterProcess } from './cluster-process.ts'
import { ended, read, runOf, startRepair, treesOf } from './repair-calls.ts'
import type { ServerProcess } from './server-process.ts'

const valueBytes = 1000
const onlyRepair = ['hints.enabled=false', 'readRepair.mode=off', 'repair.enabled=false']

async function write(node: ServerProcess, from: number, count: number, round: string) {
  const value = round.padEnd(valueBytes, '.')
  const keys = Array.from({ length: count }, (_, i) => `k${from + i}`)
  const lane = async (): Promise<void> => {
    for (let key = keys.shift(); key !== undefined; key = keys.shift()) {
      const answer = await fetch(`${node.url}/kv/b/${key}`, { method: 'PUT', body: value })
      await answer.body?.cancel()
      assert.equal(answer.status, 204)
    }
  }
  await Promise.all(Array.from({ length: 16 }, lane))
}

/** Resolves when rows are being shipped, with whom they are exchanged. */
async function untilShipping(node: ServerProcess, id: string): Promise<string> {
  let peer = ''
  await node.until('ships rows', async () => {
    const { rowsReceived, state } = await runOf(node, id)
    assert.equal(state, 'running', 'the repair is slow enough to be met in the middle')
    const { exchanges } = await read<RepairStatus>(node, '/admin/repair')
    peer = exchanges[0]?.peer ?? ''
    return rowsReceived > 0 && peer !== ''
  })
  return peer
}

async function assertEqual(cluster: ClusterProcess, keys: number): Promise<void> {
  const [first] = cluster.nodes
  assert.ok(first)
  const trees = await treesOf(first)
  assert.equal(
    trees.reduce((sum, tree) => sum + tree.keys, 0),
    keys
  )
  for (const node of cluster.nodes) assert.deepEqual(await treesOf(node), trees)
}

describe('an exchange that is interrupted', () => {
  const keys = 1500
  let cluster: ClusterProcess
  let round = 0

  before(async () => {
    cluster = await ClusterProcess.start({
      // Slow enough to be met in the middle.
      set: [...onlyRepair, 'cluster.partitions=16', 'repair.maxBytesPerSecond=262144']
    })
  })

  after(() => cluster.stop())

  /** The third node misses all keys once more, and is compared with the others. */
  async function shipping() {
    const [first, , third] = cluster.nodes
    assert.ok(first && third)
    await third.end('SIGKILL')
    await write(first, 0, keys, `round ${++round}`)
    await third.start()
    await cluster.settled()
    const id = await startRepair(third, { mode: 'incremental' })
    const peer = await untilShipping(third, id)
    const sender = cluster.nodes.find((node) => node.id === peer)
    assert.ok(sender)
    return { third, sender, id }
  }

  async function endsWithTheNextRound(third: ServerProcess): Promise<void> {
    const run = await ended(third, await startRepair(third, { mode: 'incremental' }))
    assert.deepEqual([run.state, run.skipped], ['done', []], run.reason ?? '')
    await assertEqual(cluster, keys)
  }

  it('by the death of the sender loses nothing, and hangs nowhere', async () => {
    const { third, sender, id } = await shipping()
    await sender.end('SIGKILL')
    await sender.start()
    await cluster.settled()
    await ended(third, id)
    await endsWithTheNextRound(third)
  })

  it('by the death of the receiver leaves trees that are exact, and no locks', async () => {
    const { third } = await shipping()
    await third.end('SIGKILL')
    await third.start()
    await cluster.settled()
    for (const { verified } of await treesOf(third, true)) assert.equal(verified, true)
    await endsWithTheNextRound(third)
  })

  it('by a sender that hangs is given up, and taken up again when it goes on', async () => {
    const { third, sender, id } = await shipping()
    sender.signal('SIGSTOP')
    await third.until(
      'has given the exchange up',
      async () => {
        const { exchanges } = await read<RepairStatus>(third, '/admin/repair')
        return exchanges.every(({ peer }) => peer !== sender.id)
      },
      45
    )
    sender.signal('SIGCONT')
    await cluster.settled()
    await ended(third, id)
    await endsWithTheNextRound(third)
  })

  it('by an operator writes nothing more', async () => {
    const { third, id } = await shipping()
    const answer = await fetch(`${third.url}/admin/repair/${id}`, { method: 'DELETE' })
    await answer.body?.cancel()
    assert.equal((await runOf(third, id)).state, 'cancelled')
    await third.until('has no exchange', async () => {
      const { exchanges } = await read<RepairStatus>(third, '/admin/repair')
      return exchanges.length === 0
    })
    const before = await treesOf(third)
    const { rowsReceived } = await runOf(third, id)
    assert.ok(rowsReceived < keys)
    assert.deepEqual(await treesOf(third), before)
    await endsWithTheNextRound(third)
  })
})

describe('repair while users are served too slowly', () => {
  const keys = 3000
  let cluster: ClusterProcess

  before(async () => {
    cluster = await ClusterProcess.start({
      set: [
        ...onlyRepair,
        'cluster.partitions=16',
        'repair.maxBytesPerSecond=524288',
        // No disk is that fast: whatever users do is too slow.
        'repair.latencyTargetMs=1'
      ]
    })
  })

  after(() => cluster.stop())

  it('pauses, says why, and goes on by itself when they are gone', async () => {
    const [first, , third] = cluster.nodes
    assert.ok(first && third)
    await third.end('SIGKILL')
    await write(first, 0, keys, 'missed')
    await third.start()
    await cluster.settled()
    let stopped = false
    const user = async (): Promise<void> => {
      for (let i = 0; !stopped; i++) {
        const url = `${third.url}/kv/b/other${i % 50}`
        const answer = await fetch(url, { method: 'PUT', body: 'x' })
        await answer.body?.cancel()
      }
    }
    const users = Array.from({ length: 8 }, user)
    const id = await startRepair(third, { mode: 'incremental' })
    try {
      await third.until(
        'has paused its repair',
        async () => {
          const metrics = await (await fetch(`${third.url}/metrics`)).text()
          return metrics.includes('anneal_repair_pace{state="paused"} 1')
        },
        30
      )
      let reason: string | null = null
      await third.until('has said why', async () => {
        const run = await runOf(third, id)
        assert.equal(run.state, 'running')
        reason = run.reason
        return reason !== null
      })
      assert.match(reason ?? '', /paused: .*(foreground p99|event loop).* is above 1 ms/)
    } finally {
      stopped = true
      await Promise.all(users)
    }
    const run = await ended(third, id)
    assert.equal(run.state, 'done', run.reason ?? '')
    assert.ok(run.rowsReceived >= keys)
  })
})
