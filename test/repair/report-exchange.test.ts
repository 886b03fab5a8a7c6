import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReportRequest } from '../../proto/frames.ts'
import { FirstHearing } from '../../repair/first-hearing.ts'
import { HintsElsewhere } from '../../repair/hints-elsewhere.ts'
import { ReportExchange } from '../../repair/report-exchange.ts'
import { Watermarks } from '../../repair/watermarks.ts'

const partitions = 1000
const replicas = ['n1', 'n2']
const timers = { set: () => ({}), clear() {}, atEndOfTurn: queueMicrotask }

interface Node {
  readonly watermarks: Watermarks
  readonly hearing: FirstHearing
  readonly exchange: ReportExchange
  readonly asked: ReportRequest[]
}

/** A node that knows nothing yet; `peer` answers what it asks, as it came from the wire. */
function openNode(selfId: string, peer: () => Node): Node {
  const asked: ReportRequest[] = []
  const watermarks = new Watermarks({
    selfId,
    partitions,
    replicasOf: () => replicas,
    onChange: () => {}
  })
  const hearing = new FirstHearing({
    selfId,
    replicasOf: () => replicas,
    isReachable: () => true,
    timers
  })
  const exchange = new ReportExchange({
    watermarks,
    hearing,
    partitions,
    own: () => ({ member: selfId, present: `incarn${selfId}`, counter: 0, ended: [] }),
    hinted: () => new Map(),
    elsewhere: new HintsElsewhere(),
    members: () => ({ others: replicas.filter((id) => id !== selfId), removed: [] }),
    isShared: () => true,
    isUp: () => true,
    request: (_peer, body, done) => {
      asked.push(body)
      queueMicrotask(() => done(peer().exchange.answer(body, selfId)))
    },
    timers,
    random: { fraction: () => 0, bytes: (length) => Buffer.alloc(length) },
    lookEveryMs: 1000
  })
  return { watermarks, hearing, exchange, asked }
}

test('a node that has come back hears the watermarks of a peer in one exchange, however many differ', async () => {
  const back: Node = openNode('n1', () => peer)
  const peer: Node = openNode('n2', () => back)
  const numbers = Array.from({ length: partitions }, (_, partition) => partition)
  for (const partition of numbers) {
    const report = { member: 'n2', upTo: partition + 1, lower: new Map() }
    peer.watermarks.noteProof([partition], 'n1', new Map([['incarnat', report]]))
  }
  assert.equal(await back.exchange.exchangeWith('n2'), true)
  assert.equal(back.hearing.hasHeard('n2'), true)
  assert.deepEqual(
    numbers.filter((partition) => !back.watermarks.isBehind(partition)),
    [],
    'each of them is above what this node can answer for'
  )
  assert.ok(back.asked.length < 10, `${back.asked.length} requests`)
})
