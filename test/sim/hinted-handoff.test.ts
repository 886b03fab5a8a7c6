import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import type { WriteReceipt } from '../../server/data-service.ts'
import type { Node } from '../../server/node.ts'
import { SimCluster } from './sim-cluster.ts'
import type { SimNode } from './sim-node.ts'

const put = { contentType: 'text/plain', meta: [] }
const objectKey = keyOf(Buffer.from('b'), Buffer.from('k'))

interface Ready {
  readonly cluster: SimCluster
  /** The replicas of the key, in the order of the ring. */
  readonly replicas: readonly SimNode[]
  readonly others: readonly SimNode[]
}

async function ready(
  seed: number,
  settings: readonly string[] = [],
  diskMs = { min: 0.05, max: 0.5 }
): Promise<Ready> {
  const repairs = settings.some((setting) => setting.startsWith('repair.'))
  const cluster = new SimCluster({
    seed,
    nodes: 5,
    settings: repairs ? settings : ['repair.enabled=false', ...settings],
    diskMs
  })
  assert.equal(await cluster.start(), true, 'the cluster gets ready')
  const { ring } = up(cluster.nodes[0]).cluster
  const partition = (objectKey.token[0] ?? 0) >> 4
  const ids = ring.replicas(partition)
  const byId = (id: string) => cluster.nodes.find((node) => node.id === id)
  const replicas = ids.flatMap((id) => byId(id) ?? [])
  assert.equal(replicas.length, 3)
  return { cluster, replicas, others: cluster.nodes.filter((node) => !replicas.includes(node)) }
}

function up(simNode: SimNode | undefined): Node {
  assert.ok(simNode?.node)
  return simNode.node
}

/** Ends nodes and waits until everybody else has noticed. */
async function down({ cluster }: Ready, gone: readonly SimNode[]): Promise<void> {
  for (const node of gone) node.crash()
  const noticed = () =>
    cluster.nodes.every(({ node }) => node === null || gone.every(({ id }) => !node.peers.isUp(id)))
  assert.equal(await cluster.time.runUntil(noticed, 60_000), true)
}

async function back({ cluster }: Ready, gone: readonly SimNode[]): Promise<void> {
  for (const node of gone) void node.start()
  const areBack = () =>
    cluster.nodes.every(({ id, node }) => {
      const isSeen = (other: SimNode) => other.id === id || node?.peers.isUp(other.id) === true
      return node === null ? !gone.some((other) => other.id === id) : gone.every(isSeen)
    })
  assert.equal(await cluster.time.runUntil(areBack, 60_000), true)
}

/** Waits until the nodes have heard what the other now reports on itself. */
async function heardOf({ cluster }: Ready, other: SimNode, nodes: readonly SimNode[]) {
  const { watermarks } = up(other).arriving
  const incarnation = up(other).store.minter.incarnation
  const reportedTo = (node: SimNode) =>
    up(node).arriving.watermarks.table.get(incarnation)?.upTo === reported?.upTo
  const reported = watermarks.table.get(incarnation)
  assert.equal(await cluster.time.runUntil(() => nodes.every(reportedTo), 10_000), true)
}

async function drained({ cluster }: Ready): Promise<void> {
  const nothingWaits = () =>
    cluster.nodes.every(({ node }) => node?.handoff.store.backlog().length === 0)
  assert.equal(await cluster.time.runUntil(nothingWaits, 120_000), true, 'all hints are delivered')
}

function write({ cluster }: Ready, at: SimNode | undefined, value: string, context?: string) {
  const request = { ...put, value: Buffer.from(value), context }
  return cluster.settle(up(at).data.put('b', 'k', request))
}

async function read({ cluster }: Ready, at: SimNode | undefined, options = {}) {
  const view = await cluster.settle(up(at).data.get('b', 'k', options))
  return { ...view, values: view.siblings.map(({ value }) => String(value)).sort() }
}

/** What each replica holds itself, which is the same everywhere in the end. */
function held({ replicas }: Ready): string[] {
  return replicas.map((replica) => {
    const { store } = up(replica)
    return (store.read(objectKey)?.versions ?? []).map(({ value }) => String(value)).join()
  })
}

function backlogOf(node: SimNode | undefined): [string, number][] {
  return up(node)
    .handoff.store.backlog()
    .map(({ target, count }): [string, number] => [target, count])
    .sort()
}

async function stop({ cluster }: Ready): Promise<void> {
  for (const node of cluster.nodes) await cluster.settle(node.stop())
}

describe('hinted handoff', () => {
  it('takes writes with two of three replicas down, and brings them what they missed', async () => {
    const at = await ready(1)
    const [first, second, third] = at.replicas
    const gone = at.replicas.slice(1)
    await write(at, first, 'before')
    await down(at, gone)
    const seen = await read(at, first)
    const receipt: WriteReceipt = await write(at, first, 'meanwhile', seen.context ?? undefined)
    assert.ok(receipt.hinted >= 1 && receipt.answered >= 2)
    assert.equal(receipt.coordinator, first?.id)
    const standIns = at.others.flatMap(backlogOf).sort()
    assert.deepEqual(
      standIns,
      [
        [second?.id, 1],
        [third?.id, 1]
      ].sort()
    )
    assert.deepEqual((await read(at, at.others[0])).values, ['meanwhile'])
    await back(at, gone)
    await drained(at)
    assert.deepEqual(held(at), ['meanwhile', 'meanwhile', 'meanwhile'])
    await stop(at)
  })

  it('hands nothing to others before the coordinator itself has it on disk', async () => {
    const at = await ready(5, [], { min: 50, max: 50 })
    const [first, second] = at.replicas
    assert.ok(first && second)
    await down(at, [second])
    first.disk.failNextBatch()
    const value = Buffer.from('lost by its coordinator')
    up(first)
      .data.put('b', 'k', { ...put, value })
      .catch(() => {})
    const isGone = () => first.node === null
    assert.equal(await at.cluster.time.runUntil(isGone, 10_000), true, 'its disk has failed')
    await at.cluster.time.advance(1000)
    assert.deepEqual(at.others.flatMap(backlogOf), [])
    await stop(at)
  })

  for (const hasReported of [false, true]) {
    const when = hasReported ? 'after it has reported' : 'before it has reported'
    it(`keeps what only others hold for replicas when the coordinator's disk is lost ${when}`, async () => {
      const at = await ready(9, ['repair.intervalMs=20000'])
      const [first, ...away] = at.replicas
      assert.ok(first)
      await write(at, first, 'before')
      await at.cluster.time.advance(1000)
      await down(at, away)
      const seen = await read(at, first)
      const receipt = await write(at, first, 'acknowledged', seen.context ?? undefined)
      assert.equal(receipt.answered, 2)
      await at.cluster.time.advance(1000)
      assert.deepEqual(
        [backlogOf(first), ...at.others.map(backlogOf)].map(({ length }) => length),
        [0, 1, 1]
      )
      await down(at, at.others)
      if (hasReported) {
        await back(at, away)
        await heardOf(at, first, away)
      }
      first.crash()
      first.replaceDisk(new Map())
      await back(at, hasReported ? [first] : at.replicas)
      const values = held(at).flatMap((held) => held.split(','))
      assert.ok(!values.includes('acknowledged'), 'the hints alone hold the write')
      await at.cluster.time.advance(120_000)
      await back(at, at.others)
      await drained(at)
      const now = await read(at, first, { r: 'all' })
      assert.deepEqual(now.values, ['acknowledged'])
      await stop(at)
    })
  }

  it('takes writes with all three replicas down, from any node', async () => {
    const at = await ready(2)
    await write(at, at.replicas[0], 'before')
    await down(at, at.replicas)
    const [one, two] = at.others
    const receipts = [await write(at, one, 'one'), await write(at, two, 'two')]
    for (const { hinted, answered } of receipts) assert.deepEqual([hinted, answered], [2, 2])
    assert.deepEqual((await read(at, one)).values, ['one', 'two'])
    assert.deepEqual((await read(at, two)).values, ['one', 'two'])
    const seen = await read(at, two)
    await write(at, two, 'both', seen.context ?? undefined)
    assert.deepEqual((await read(at, one)).values, ['both'])
    await back(at, at.replicas)
    await drained(at)
    const now = await read(at, one, { r: 'all' })
    // The first write was made before, and nobody has seen it since.
    assert.deepEqual(now.values, ['before', 'both'])
    await stop(at)
  })

  it('deletes what a stand-in knows, with no replica there', async () => {
    const at = await ready(8)
    await down(at, at.replicas)
    const [one] = at.others
    await write(at, one, 'x')
    await at.cluster.settle(up(one).data.delete('b', 'k', {}))
    assert.equal((await read(at, at.others[1])).state, 'deleted')
    await back(at, at.replicas)
    await drained(at)
    for (const replica of at.replicas) {
      const versions = up(replica).store.read(objectKey)?.versions ?? []
      assert.deepEqual(
        versions.map(({ tombstone }) => tombstone),
        [true]
      )
    }
    await stop(at)
  })

  it('keeps a write for a replica that was lost on the way', async () => {
    const at = await ready(9)
    const [first, second, third] = at.replicas
    assert.ok(third)
    const writing = up(first).data.put('b', 'k', { ...put, value: Buffer.from('x') })
    third.crash()
    await at.cluster.settle(writing)
    const others = at.cluster.nodes.filter((node) => node !== third)
    const isKept = () => others.flatMap(backlogOf).some(([target]) => target === third.id)
    assert.equal(await at.cluster.time.runUntil(isKept, 30_000), true)
    assert.equal(up(second).store.read(objectKey)?.versions.length, 1)
    await back(at, [third])
    await drained(at)
    assert.deepEqual(held(at), ['x', 'x', 'x'])
    await stop(at)
  })

  it('refuses where only replicas count, and keeps nothing', async () => {
    const at = await ready(3)
    await down(at, at.replicas.slice(1))
    const request = { ...put, value: Buffer.from('x'), sloppy: false }
    for (const node of [at.replicas[0], at.others[0]]) {
      await assert.rejects(at.cluster.settle(up(node).data.put('b', 'k', request)), {
        code: 'quorum_unavailable'
      })
      await assert.rejects(read(at, node, { sloppy: false }), { code: 'quorum_unavailable' })
    }
    for (const node of [at.replicas[0], ...at.others]) assert.deepEqual(backlogOf(node), [])
    assert.equal(up(at.replicas[0]).store.read(objectKey), null)
    await back(at, at.replicas.slice(1))
    await stop(at)
  })

  it('says how many replicas were needed where none is there', async () => {
    const at = await ready(12)
    await down(at, at.replicas)
    const [other] = at.others
    const missed = (needed: number) => ({
      code: 'quorum_unavailable',
      details: { needed, answered: 0, asked: 3, down: at.replicas.map(({ id }) => id) }
    })
    const strict = { ...put, value: Buffer.from('x'), sloppy: false }
    await assert.rejects(at.cluster.settle(up(other).data.put('b', 'k', strict)), missed(2))
    const one = { ...strict, w: 'one' } as const
    await assert.rejects(at.cluster.settle(up(other).data.put('b', 'k', one)), missed(1))
    await assert.rejects(read(at, other, { sloppy: false }), missed(2))
    await back(at, at.replicas)
    await stop(at)
  })

  it('says as much of a write that was passed on as the node that coordinated it', async () => {
    const at = await ready(13, ['limits.maxSiblings=2'])
    const [other] = at.others
    const refused = (options: object, error: object) =>
      assert.rejects(
        at.cluster.settle(
          up(other).data.put('b', 'k', { ...put, value: Buffer.from('x'), ...options })
        ),
        error
      )
    await write(at, other, 'one')
    await write(at, other, 'two')
    const siblings = { siblings: 2, siblingsMax: 2 }
    await refused({}, { code: 'too_many_siblings', details: siblings })
    await refused({ w: 4 }, { code: 'bad_parameter', details: { parameter: 'w' } })
    const gone = at.replicas.slice(1)
    await down(at, gone)
    const details = { needed: 2, answered: 1, asked: 3, down: gone.map(({ id }) => id) }
    await refused({ sloppy: false }, { code: 'quorum_unavailable', details })
    await back(at, gone)
    await stop(at)
  })

  it('keeps strict writes for a replica that is down at the coordinator', async () => {
    const at = await ready(4)
    const [first, , third] = at.replicas
    assert.ok(third)
    await down(at, [third])
    const request = { ...put, value: Buffer.from('x'), sloppy: false }
    const receipt = await at.cluster.settle(up(first).data.put('b', 'k', request))
    assert.deepEqual([receipt.hinted, receipt.answered], [0, 2])
    assert.deepEqual(backlogOf(first), [[third.id, 1]])
    await back(at, [third])
    await drained(at)
    assert.deepEqual(held(at), ['x', 'x', 'x'])
    await stop(at)
  })

  it('survives a crash of whoever keeps the hints', async () => {
    const at = await ready(5)
    await down(at, at.replicas)
    await write(at, at.others[0], 'kept')
    for (const node of at.others) node.crash()
    await back(at, at.cluster.nodes)
    await drained(at)
    assert.deepEqual(held(at), ['kept', 'kept', 'kept'])
    await stop(at)
  })

  it('hands hints that have expired to the replicas that are there', async () => {
    const at = await ready(6, ['hints.maxAgeMs=60000'])
    const [first, second, third] = at.replicas
    assert.ok(second && third)
    await down(at, [second, third])
    await write(at, first, 'x')
    await back(at, [second])
    await at.cluster.time.runUntil(() => false, 120_000)
    const expired = at.cluster.nodes.reduce(
      (sum, { node }) => sum + (node?.handoff.delivery.counters.expired ?? 0),
      0
    )
    assert.equal(expired, 1)
    assert.deepEqual(up(second).store.read(objectKey)?.versions.length, 1)
    await back(at, [third])
    await drained(at)
    await stop(at)
  })

  it('keeps hints that have expired while a lost disk would be the end of what they hold', async () => {
    const at = await ready(9, ['repair.intervalMs=2000', 'hints.maxAgeMs=10000'])
    const [first, ...away] = at.replicas
    assert.ok(first)
    await down(at, away)
    const receipt = await write(at, first, 'acknowledged')
    assert.equal(receipt.answered, 2)
    await at.cluster.time.advance(120_000)
    first.crash()
    first.replaceDisk(new Map())
    await back(at, at.replicas)
    await drained(at)
    assert.deepEqual((await read(at, first, { r: 'all' })).values, ['acknowledged'])
    await stop(at)
  })

  it('does nothing of this where it is turned off', async () => {
    const at = await ready(7, ['hints.enabled=false'])
    await down(at, at.replicas.slice(1))
    await assert.rejects(write(at, at.replicas[0], 'x'), { code: 'quorum_unavailable' })
    await assert.rejects(write(at, at.others[0], 'x'), { code: 'quorum_unavailable' })
    await back(at, at.replicas.slice(1))
    await stop(at)
  })

  const collecting = [
    'repair.intervalMs=2000',
    'cluster.heartbeatMs=500',
    'tombstones.graceMs=1000'
  ]

  it('shows nothing that has been deleted everywhere while it could not be delivered', async () => {
    const at = await ready(1, collecting)
    const { cluster } = at
    const [first, second, third] = at.replicas
    assert.ok(first && second && third)
    await cluster.settle(
      up(first).data.put('b', 'k', { ...put, value: Buffer.from('old'), w: 'all' })
    )
    const { context } = await read(at, first)
    // The nodes have proven that all replicas have it.
    await cluster.time.advance(30_000)
    await down(at, [third])
    await write(at, first, 'new')
    const standIn = at.others.find((node) => backlogOf(node).length > 0)
    assert.ok(standIn)
    cluster.network.cut(standIn.id, third.id)
    void third.start()
    await cluster.time.advance(20_000)
    const remove = { context: context ?? undefined, w: 'all', sloppy: false } as const
    await cluster.settle(up(second).data.delete('b', 'k', remove))
    const isCollected = () => held(at).every((values) => values === 'new')
    assert.equal(await cluster.time.runUntil(isCollected, 600_000), true, 'only the new is left')
    await down(at, [third])
    const { values, hinted } = await read(at, first, { r: 'all' })
    assert.equal(hinted, 1)
    assert.deepEqual(values, ['new'])
    await stop(at)
  })

  it('shows nothing of what an old disk brought back, where a replica has let it go', async () => {
    const at = await ready(1, collecting)
    const { cluster } = at
    const [first, second, third] = at.replicas
    assert.ok(first && second && third)
    await down(at, [third])
    await write(at, first, 'deleted later')
    await cluster.time.advance(2000)
    const standIn = at.others.find((node) => backlogOf(node).length > 0)
    assert.ok(standIn)
    const before = standIn.disk.copy()
    await back(at, [third])
    await drained(at)
    const { context } = await read(at, first)
    const remove = { context: context ?? undefined, w: 'all' } as const
    await cluster.settle(up(first).data.delete('b', 'k', remove))
    const isCollected = () => held(at).every((values) => values === '')
    assert.equal(await cluster.time.runUntil(isCollected, 600_000), true)
    await cluster.settle(standIn.stop())
    standIn.replaceDisk(before)
    await down(at, [third])
    await back(at, [standIn])
    await cluster.time.advance(20_000)
    assert.equal((await read(at, first, { r: 'all' })).state, 'none')
    await down(at, [second])
    await assert.rejects(read(at, first, { r: 'all' }), { code: 'not_ready' })
    await stop(at)
  })
})
