import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from '../../core/ports.ts'
import type { Pace } from '../../repair/governor.ts'
import type { SessionOutcome } from '../../repair/session-outcome.ts'
import { buildRing } from '../../ring/ring.ts'
import type { ExchangeRequest } from '../../server/repair/exchange.ts'
import { pairReports, summarizePairs } from '../../server/repair/repair-report.ts'
import { RepairService } from '../../server/repair/repair-service.ts'
import { doneOutcome, failedOutcome, partitionOutcome } from '../repair/outcomes.ts'
import { memberOf } from '../ring/arbitraries.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { VirtualTime } from '../sim/virtual-time.ts'

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const partitions = 8
const intervalMs = 10_000

interface Begun extends ExchangeRequest {
  readonly atMs: number
  cancelled: string
  end(outcome: SessionOutcome): void
}

/** Node n1 of three, whose exchanges are what the test says they are. */
function setUp(options: { readonly answer?: (begun: Begun) => SessionOutcome | null } = {}) {
  const time = new VirtualTime()
  const begun: Begun[] = []
  const down = new Set<string>()
  const records = new Map<string, Uint8Array>()
  const world = {
    members: ['n1', 'n2', 'n3'],
    pace: { state: 'running', bytesPerSecond: 1, reason: '' } satisfies Pace as Pace,
    paused: false,
    concurrency: 2
  }
  const ring = () =>
    buildRing(
      world.members.map((id) => memberOf(id)),
      { partitions, replication: { n: 3 } }
    )
  const service = new RepairService({
    selfId: 'n1',
    enabled: true,
    intervalMs,
    concurrency: world.concurrency,
    clock: time.clock,
    timers: time.timers,
    random: new SeededRandom(1),
    lookEveryMs: 1000,
    log: silent,
    ring,
    isUp: (peer) => !down.has(peer),
    pace: () => world.pace,
    storage: {
      read: (peer) => records.get(peer) ?? null,
      write: async (peer, record) => {
        records.set(peer, record)
      }
    },
    paused: {
      read: () => world.paused,
      write: async (paused) => {
        world.paused = paused
      }
    },
    begin: (request) => {
      let end: (outcome: SessionOutcome) => void = () => {}
      const done = new Promise<SessionOutcome>((resolve) => {
        end = resolve
      })
      const one: Begun = { ...request, atMs: time.nowMs, cancelled: '', end }
      begun.push(one)
      const answer = (options.answer ?? ((asked) => doneOutcome(asked.partitions)))(one)
      if (answer !== null) time.timers.set(() => end(answer), 100)
      return {
        done,
        cancel: (reason) => {
          one.cancelled = reason
          end(failedOutcome(reason, 'cancelled'))
        }
      }
    },
    onSession: () => {},
    onMemberGone: () => {},
    onRingChange: () => {}
  })
  return { time, service, begun, down, world, records }
}

const all = Array.from({ length: partitions }, (_, id) => id)

describe('the repair of a node', () => {
  it('compares with every peer, round after round', async () => {
    const { time, service, begun } = setUp()
    service.start()
    await time.advance(2500)
    assert.deepEqual(begun.map(({ peer }) => peer).sort(), ['n2', 'n3'])
    assert.deepEqual(begun[0]?.partitions, all)
    assert.equal(summarizePairs(service, time.clock.now()).byState.equal, 2 * partitions)
    await time.advance(5 * intervalMs)
    assert.ok(begun.length >= 8 && begun.length <= 14, `${begun.length} exchanges`)
  })

  it('shows what it waits for, pair by pair', async () => {
    const { time, service, down } = setUp({
      answer: ({ partitions: asked }) =>
        doneOutcome(asked.slice(2), {
          0: partitionOutcome('differs', 'it changed too often'),
          1: partitionOutcome('busy', 'n2 is busy')
        })
    })
    down.add('n3')
    service.start()
    await time.advance(2500)
    const found = pairReports(service, time.clock.now())
    const of = (partition: number, peer: string) =>
      found.find((pair) => pair.partition === partition && pair.peer === peer)
    assert.equal(of(0, 'n2')?.state, 'differs')
    assert.match(of(0, 'n2')?.reason ?? '', /^it changed too often; waiting: 2 partitions are left/)
    assert.equal(of(1, 'n2')?.state, 'waiting')
    assert.equal(of(2, 'n2')?.state, 'equal')
    assert.equal(of(2, 'n3')?.state, 'never')
    assert.match(of(2, 'n3')?.reason ?? '', /^n3 is down since 2026-01-01T/)
    assert.equal(summarizePairs(service, time.clock.now()).oldestEqualSeconds, null)
  })

  it('looks at once at what was marked, with all who hold it', async () => {
    const { time, service, begun } = setUp()
    service.start()
    await time.advance(2500)
    begun.length = 0
    service.markEarly(5, 'damage was found')
    assert.equal(pairReports(service, time.clock.now())[5]?.state, 'waiting')
    await time.advance(1500)
    assert.deepEqual(begun.map(({ peer }) => peer).sort(), ['n2', 'n3'])
    for (const { partitions: asked } of begun) assert.deepEqual(asked, [5])
    assert.equal(pairReports(service, time.clock.now())[5]?.state, 'equal')
  })

  it('begins nothing while it is paused, but runs go on', async () => {
    const { time, service, begun, world } = setUp({ answer: () => null })
    service.start()
    await time.advance(2500)
    await service.pause()
    assert.deepEqual(
      begun.map(({ cancelled }) => cancelled),
      ['background repair was paused']
    )
    assert.equal(world.paused, true)
    await time.advance(10 * intervalMs)
    assert.equal(begun.length, 1)
    assert.equal(service.reasonFor('n2'), 'paused by an operator')
    service.runs.start({ mode: 'incremental', dryRun: false, partitions: null })
    for (let exchanges = 2; exchanges <= 3; exchanges++) {
      await time.advance(100)
      assert.equal(begun.length, exchanges)
      begun.at(-1)?.end(doneOutcome(all))
    }
    await time.advance(100)
    assert.equal(service.runs.list()[0]?.state, 'done')
    await service.resume()
    await time.advance(2 * intervalMs)
    assert.ok(begun.length > 3)
  })

  it('begins nothing while the governor is paused, and says why', async () => {
    const { time, service, begun, world } = setUp()
    world.pace = {
      state: 'paused',
      bytesPerSecond: 0,
      reason: 'foreground p99 83 ms is above 50 ms'
    }
    service.start()
    await time.advance(5 * intervalMs)
    assert.equal(begun.length, 0)
    assert.equal(service.reasonFor('n3'), 'paused: foreground p99 83 ms is above 50 ms')
    world.pace = { state: 'running', bytesPerSecond: 1, reason: '' }
    await time.advance(1500)
    assert.equal(begun.length, 2)
  })

  it('ends its exchanges where the ring changes, and begins anew', async () => {
    const { time, service, begun, world } = setUp({ answer: () => null })
    service.start()
    await time.advance(2500)
    world.members = ['n1', 'n2', 'n3', 'n4']
    await time.advance(1100)
    assert.equal(begun[0]?.cancelled, 'the ring has changed')
    await time.advance(2 * intervalMs)
    assert.ok(begun.length > 1)
  })

  it('asks nobody for what it compares with somebody else', async () => {
    const { time, service, begun } = setUp({ answer: () => null })
    service.start()
    await time.advance(5000)
    assert.equal(begun.length, 1)
    const [first] = begun
    const other = first?.peer === 'n2' ? 'n3' : 'n2'
    assert.equal(service.reasonFor(other), 'waiting for another exchange to end')
    first?.end(doneOutcome(all))
    await time.advance(100)
    assert.equal(begun[1]?.peer, other)
  })

  it('never has more exchanges in progress than it may, and one with a peer', async () => {
    const { time, service, begun } = setUp({ answer: () => null })
    await service.pause()
    service.start()
    for (let i = 0; i < 4; i++) {
      service.runs.start({ mode: 'incremental', dryRun: false, partitions: [i] })
    }
    await time.advance(60_000)
    assert.equal(begun.length, 2)
    assert.notEqual(begun[0]?.peer, begun[1]?.peer)
    assert.equal(service.exchanges.freeSlots, 0)
  })

  it('takes a peer that compared itself for compared', async () => {
    const { time, service, begun } = setUp()
    service.start()
    await time.advance(2500)
    begun.length = 0
    const outcomes = new Map(all.map((partition) => [partition, partitionOutcome('equal')]))
    for (let i = 0; i < 10; i++) {
      await time.advance(intervalMs / 2)
      for (const peer of ['n2', 'n3']) service.responded(peer, outcomes, service.ledger.now)
    }
    assert.equal(begun.length, 0)
  })
})

describe('a repair that was asked for', () => {
  const everything = { mode: 'incremental', dryRun: false, partitions: null } as const

  it('names who could not be reached, and is done with the others', async () => {
    const { time, service, down } = setUp()
    down.add('n3')
    service.start()
    const { id } = service.runs.start(everything)
    await time.advance(2000)
    const { state, skipped, partitions: pairs } = service.runs.status(id)
    assert.deepEqual([state, skipped, pairs], ['done', ['n3'], { done: 8, total: 8 }])
  })

  it('fails where a peer goes away and stays away', async () => {
    const { time, service, down, begun } = setUp({
      answer: ({ peer }) => (peer === 'n3' ? failedOutcome('the link was lost') : doneOutcome(all))
    })
    await service.pause()
    service.start()
    const { id } = service.runs.start(everything)
    await time.advance(1000)
    down.add('n3')
    await time.advance(30_000)
    const { state, reason } = service.runs.status(id)
    assert.equal(state, 'failed')
    assert.equal(reason, 'n3 went away (8 partitions left)')
    assert.ok(begun.length < 20)
  })

  it('recomputes each tree in full mode, once with each peer', async () => {
    let attempts = 0
    const { time, service, begun } = setUp({
      answer: ({ partitions: asked, recompute }) => {
        const busy = { [asked[0] ?? 0]: partitionOutcome('busy', 'busy') }
        const outcome = attempts++ < 4 ? doneOutcome(asked.slice(1), busy) : doneOutcome(asked)
        return { ...outcome, recomputed: recompute }
      }
    })
    await service.pause()
    service.start()
    const { id } = service.runs.start({ mode: 'full', dryRun: false, partitions: [2, 3, 4] })
    await time.advance(10_000)
    assert.equal(service.runs.status(id).state, 'done')
    for (const peer of ['n2', 'n3']) {
      const asked = begun.filter((one) => one.peer === peer).map(({ recompute }) => recompute)
      assert.deepEqual(asked[0], [2, 3, 4])
      assert.ok(asked.length > 1 && asked.slice(1).every((recompute) => recompute.length === 0))
    }
  })

  it('recomputes in full mode what an exchange before did not get to', async () => {
    const { time, service, begun } = setUp({
      answer: ({ partitions: asked, recompute }) => {
        if (begun.length > 2) return { ...doneOutcome(asked), recomputed: recompute }
        const busyHere = partitionOutcome('busy', 'busy here')
        const busy = Object.fromEntries(asked.slice(2).map((partition) => [partition, busyHere]))
        return { ...doneOutcome(asked.slice(0, 2), busy), recomputed: recompute.slice(0, 3) }
      }
    })
    await service.pause()
    service.start()
    const { id } = service.runs.start({ mode: 'full', dryRun: false, partitions: null })
    await time.advance(10_000)
    assert.equal(service.runs.status(id).state, 'done')
    for (const peer of ['n2', 'n3']) {
      const asked = begun.filter((one) => one.peer === peer)
      assert.deepEqual(
        asked.map(({ partitions: compared, recompute }) => [compared, recompute]),
        [
          [all, all],
          [all.slice(2), all.slice(3)]
        ]
      )
    }
  })

  it('stops at once when it is cancelled', async () => {
    const { time, service, begun } = setUp({ answer: () => null })
    await service.pause()
    service.start()
    const { id } = service.runs.start(everything)
    await time.advance(100)
    service.runs.cancel(id)
    await time.advance(5000)
    assert.equal(service.runs.status(id).state, 'cancelled')
    assert.deepEqual(
      begun.map(({ cancelled }) => cancelled),
      ['the repair was cancelled']
    )
  })

  it('refuses partitions that there are not, ids that it does not know, and too many at a time', () => {
    const { service } = setUp()
    const start = (wanted: readonly number[]) =>
      service.runs.start({ mode: 'incremental', dryRun: false, partitions: wanted })
    assert.throws(() => start([8]), { code: 'bad_parameter', message: /no partition 8.*0 to 7/ })
    assert.throws(() => service.runs.status('nope'), { code: 'not_found' })
    for (let i = 0; i < 8; i++) start([0])
    assert.throws(() => start([0]), { code: 'overloaded' })
  })

  it('keeps the last hundred', async () => {
    const { time, service } = setUp()
    await service.pause()
    service.start()
    const ids: string[] = []
    for (let i = 0; i < 105; i++) {
      ids.push(service.runs.start(everything).id)
      await time.advance(300)
    }
    assert.equal(service.runs.list().length, 100)
    assert.equal(service.runs.list()[0]?.id, ids.at(-1))
    assert.throws(() => service.runs.status(ids[0] ?? ''), { code: 'not_found' })
  })
})
