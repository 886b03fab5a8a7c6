import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Log } from '../../core/ports.ts'
import {
  type DeliveryOutcome,
  HintDelivery,
  type HintDeliveryOptions
} from '../../repair/hint-delivery.ts'
import { WorkShare } from '../../repair/work-share.ts'
import { HintStore } from '../../storage/hint-store.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { Versions } from '../../storage/version.ts'
import { formatDot } from '../../storage/version-vector.ts'
import { seededRandom } from '../oracle/seeded-random.ts'
import { VirtualTime } from '../sim/virtual-time.ts'
import { keyOf, memoryDatabase, openStore, put, writeOf } from '../storage/open-store.ts'

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }
const acknowledged: DeliveryOutcome = { verdict: 'acknowledged', reason: 'acknowledged' }
const maxAgeMs = 60_000

interface Sent {
  readonly atMs: number
  readonly to: string
  readonly key: ObjectKey
  readonly versions: Versions
}

/** A node with hints, and a cluster of which only what is asked and answered is there. */
class Bench {
  readonly time = new VirtualTime()
  readonly sent: Sent[] = []
  readonly missed: string[] = []
  readonly able = new Set<string>()
  replicas: readonly string[] = ['n2', 'n3', 'n4']
  epoch = 'one'
  inFlight = 0
  inFlightMax = 0
  /** Turns in which something was sent, and what was sent while others of an earlier turn were on their way. */
  readonly turns = new Set<number>()
  overlapping = 0
  held = false
  isBusy = false
  rateLeft = 1
  answer: (sent: Sent) => DeliveryOutcome = () => acknowledged
  readonly hints: HintStore
  readonly delivery: HintDelivery
  readonly #mint: (name: string) => Versions

  private constructor(hints: HintStore, mint: (name: string) => Versions, time: VirtualTime) {
    this.hints = hints
    this.#mint = mint
    this.time = time
    const options: HintDeliveryOptions = {
      selfId: 'n1',
      hints,
      clock: time.clock,
      timers: time.timers,
      random: seededRandom(1),
      lookEveryMs: 1000,
      log: silent,
      maxAgeMs,
      partitionOf: () => 7,
      replicasOf: () => this.replicas,
      ringEpoch: () => this.epoch,
      canTake: (id) => this.able.has(id),
      send: (to, key, versions, done) => {
        const sent = { atMs: time.nowMs, to, key, versions }
        this.sent.push(sent)
        if (this.inFlight > 0 && !this.turns.has(time.nowMs)) this.overlapping++
        this.turns.add(time.nowMs)
        this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight)
        time.schedule(() => {
          this.inFlight--
          done(this.answer(sent))
        }, 5)
      },
      isHeldHere: () => this.held,
      budget: () => Promise.resolve(),
      share: new WorkShare({ ...time, requestsPerSecond: () => (this.isBusy ? 1000 : 0) }),
      rateLeft: () => this.rateLeft,
      onRangeMissed: (partition, target) => this.missed.push(`${target}/${partition}`)
    }
    this.delivery = new HintDelivery(options)
  }

  static async open(): Promise<Bench> {
    const time = new VirtualTime()
    const { store } = await openStore(await memoryDatabase(), { timers: time.timers })
    const other = await openStore(await memoryDatabase())
    const hints = await HintStore.open({
      store,
      clock: time.clock,
      log: silent,
      bytesPerTargetMax: 1e9,
      modeOf: () => 'siblings',
      partitionOf: () => 7,
      onRangeMissed() {},
      followDamage() {}
    })
    const mint = (name: string) => put(other.store, keyOf(name), writeOf(name)).result.versions
    const bench = new Bench(hints, mint, time)
    bench.delivery.start()
    return bench
  }

  keep(target: string, name: string): Versions {
    const versions = this.#mint(name)
    this.hints.put(target, keyOf(name), versions)
    return versions
  }

  /** Users are at work from now on. Answers how many milliseconds it takes from the first hint that is sent to the last. */
  async deliverWhileBusy(count: number): Promise<number> {
    this.isBusy = true
    for (let i = 0; i < count; i++) this.keep('n2', `key ${i}`)
    this.able.add('n2')
    await this.time.runUntil(() => this.sent.length > 0, 5000)
    const beganMs = this.time.nowMs
    await this.time.runUntil(() => this.left === 0, 60_000)
    assert.equal(this.left, 0)
    return this.time.nowMs - beganMs
  }

  get left(): number {
    return this.hints.backlog().reduce((sum, { count }) => sum + count, 0)
  }
}

describe('hints are delivered', () => {
  it('once their target is back, with a bounded number on their way', async () => {
    const bench = await Bench.open()
    for (let i = 0; i < 1000; i++) bench.keep('n2', `key ${i}`)
    await bench.time.advance(10_000)
    assert.deepEqual([bench.sent.length, bench.left], [0, 1000])
    bench.able.add('n2')
    await bench.time.advance(10_000)
    assert.deepEqual([bench.sent.length, bench.left], [1000, 0])
    assert.ok(bench.sent.every(({ to }) => to === 'n2'))
    assert.ok(bench.inFlightMax > 8 && bench.inFlightMax <= 128, `${bench.inFlightMax}`)
    assert.equal(bench.delivery.counters.delivered, 1000)
    bench.delivery.close()
  })

  it('in bursts, and in a third of the time, while users are at work', async () => {
    const bench = await Bench.open()
    const tookMs = await bench.deliverWhileBusy(1000)
    assert.equal(bench.overlapping, 0, 'a burst goes out when the one before has landed')
    assert.ok(bench.inFlightMax <= 32, `${bench.inFlightMax} at a time`)
    const bursts = bench.turns.size
    assert.ok(bursts >= 1000 / 32 && bursts < 60, `${bursts} bursts`)
    const alwaysMs = bursts * 5
    assert.ok(tookMs > 2 * alwaysMs && tookMs < 5 * alwaysMs, `${tookMs} ms for ${alwaysMs}`)

    bench.isBusy = false
    for (let i = 0; i < 1000; i++) bench.keep('n2', `later key ${i}`)
    await bench.time.runUntil(() => bench.inFlightMax > 32, 5000)
    assert.ok(bench.inFlightMax > 32, 'without users there are more')
    bench.delivery.close()
  })

  it('the slower, the less the governor leaves of the rate', async () => {
    const tookMs: number[] = []
    for (const rateLeft of [1, 1 / 4, 0]) {
      const bench = await Bench.open()
      bench.rateLeft = rateLeft
      tookMs.push(await bench.deliverWhileBusy(1000))
      bench.delivery.close()
    }
    const [full = 0, quarter = 0, least = 0] = tookMs
    assert.ok(quarter > 2 * full, `${quarter} ms, and ${full} ms at the full rate`)
    assert.ok(least > quarter && least < 20 * full, `${least} ms where nothing is left`)
  })

  it('and stay where they have changed since they were sent', async () => {
    const bench = await Bench.open()
    bench.keep('n2', 'k')
    let later: Versions = []
    bench.answer = () => {
      if (later.length === 0) later = bench.keep('n2', 'k')
      return acknowledged
    }
    bench.able.add('n2')
    await bench.time.runUntil(() => later.length > 0, 10_000)
    assert.equal(bench.left, 1)
    await bench.time.advance(10_000)
    assert.equal(bench.left, 0)
    const dots = bench.sent.at(-1)?.versions.map(({ dot }) => formatDot(dot))
    assert.ok(dots?.includes(formatDot((later[0] ?? assert.fail()).dot)))
    bench.delivery.close()
  })

  it('after a pause where the target pushes back, and nothing is deleted meanwhile', async () => {
    const bench = await Bench.open()
    for (let i = 0; i < 100; i++) bench.keep('n2', `key ${i}`)
    bench.answer = () => ({ verdict: 'pushedBack', reason: 'overloaded' })
    bench.able.add('n2')
    await bench.time.advance(60_000)
    assert.equal(bench.left, 100)
    assert.ok(bench.sent.length < 100, `${bench.sent.length} in a minute`)
    assert.ok((bench.delivery.counters.failures.get('overloaded') ?? 0) > 3)
    bench.answer = () => acknowledged
    await bench.time.advance(60_000)
    assert.equal(bench.left, 0)
    bench.delivery.close()
  })

  it('past those that are refused', async () => {
    const bench = await Bench.open()
    for (let i = 0; i < 300; i++) bench.keep('n2', `key ${String(i).padStart(3, '0')}`)
    bench.answer = ({ key }) =>
      String(key.key) < 'key 200' ? { verdict: 'refused', reason: 'not_ready' } : acknowledged
    bench.able.add('n2')
    await bench.time.advance(120_000)
    assert.equal(bench.left, 200, 'the last 100 are through')
    assert.ok(bench.sent.length < 20_000, `${bench.sent.length}`)
    bench.answer = () => acknowledged
    await bench.time.advance(120_000)
    assert.equal(bench.left, 0)
    bench.delivery.close()
  })

  it('past one that ends the link whenever it is sent, and all that is on its way with it', async () => {
    const bench = await Bench.open()
    for (let i = 0; i < 300; i++) bench.keep('n2', `key ${i}`)
    const ending = (): Sent[] => bench.sent.filter(({ key }) => String(key.key) === 'key 7')
    bench.answer = ({ atMs }) => {
      const isLost = ending().some((other) => Math.abs(other.atMs - atMs) < 5)
      return isLost ? { verdict: 'pushedBack', reason: 'lost' } : acknowledged
    }
    bench.able.add('n2')
    await bench.time.advance(300_000)
    assert.equal(bench.left, 1)
    const before = ending().length
    await bench.time.advance(300_000)
    assert.ok(ending().length > before, 'it has its turn again and again')
    bench.delivery.close()
  })

  it('less and less often where all that is left is refused', async () => {
    const bench = await Bench.open()
    for (let i = 0; i < 10; i++) bench.keep('n2', `key ${i}`)
    bench.answer = () => ({ verdict: 'refused', reason: 'not_ready' })
    bench.able.add('n2')
    await bench.time.advance(120_000)
    assert.ok(bench.sent.length >= 20 && bench.sent.length < 200, `${bench.sent.length}`)
    assert.equal(bench.left, 10)
    bench.delivery.close()
  })

  it('to a majority of the replicas where the target is none any more', async () => {
    const bench = await Bench.open()
    bench.keep('n2', 'k')
    await bench.time.advance(10_000)
    bench.replicas = ['n3', 'n4', 'n5']
    bench.epoch = 'two'
    await bench.time.advance(10_000)
    assert.equal(bench.left, 1, 'nobody is there yet')
    bench.able.add('n4')
    await bench.time.advance(10_000)
    assert.deepEqual([bench.sent.length, bench.left], [0, 1], 'one of three is not enough')
    bench.able.add('n5')
    await bench.time.advance(10_000)
    assert.deepEqual([bench.sent.map(({ to }) => to), bench.left], [['n4', 'n5'], 0])
    assert.deepEqual([bench.delivery.counters.expired, bench.delivery.counters.delivered], [0, 1])
    bench.delivery.close()
  })

  it('at once where somebody asks for it', async () => {
    const bench = await Bench.open()
    bench.keep('n2', 'k')
    bench.delivery.close()
    const other = await Bench.open()
    other.keep('n2', 'k')
    other.able.add('n2')
    const before = other.time.nowMs
    let flushed = false
    void other.delivery.flush().then(() => {
      flushed = true
    })
    await other.time.runUntil(() => flushed, 1000)
    assert.ok(flushed && other.time.nowMs - before < 100)
    assert.deepEqual([other.left, bench.left], [0, 1])
    other.delivery.close()
  })
})

describe('hints that have expired', () => {
  it('go to the other replicas, and the partition is marked', async () => {
    const bench = await Bench.open()
    bench.keep('n2', 'k')
    bench.able.add('n3').add('n4')
    await bench.time.advance(maxAgeMs / 2)
    assert.equal(bench.sent.length, 0)
    await bench.time.advance(maxAgeMs * 2)
    assert.deepEqual([bench.sent.map(({ to }) => to), bench.left], [['n3', 'n4'], 0])
    assert.deepEqual(bench.missed, ['n2/7'])
    assert.deepEqual([bench.delivery.counters.expired, bench.delivery.counters.delivered], [1, 0])
    bench.delivery.close()
  })

  it('stay, and are counted, where no majority of the replicas is there', async () => {
    const bench = await Bench.open()
    bench.keep('n2', 'k')
    bench.able.add('n3')
    await bench.time.advance(maxAgeMs * 3)
    assert.deepEqual([bench.sent.length, bench.left, bench.missed], [0, 1, []])
    assert.equal(bench.delivery.counters.overdue, 1)
    bench.able.add('n2')
    await bench.time.advance(10_000)
    assert.deepEqual([bench.left, bench.delivery.counters.overdue], [0, 0])
    assert.equal(bench.delivery.counters.delivered, 1, 'the target is served before its substitute')
    bench.delivery.close()
  })

  it('stay until a majority has acknowledged them, whoever else refuses', async () => {
    const bench = await Bench.open()
    bench.replicas = ['n2', 'n3', 'n4', 'n5', 'n6']
    const refusing = new Set(['n5', 'n6'])
    bench.answer = ({ to }) =>
      refusing.has(to) ? { verdict: 'refused', reason: 'not_ready' } : acknowledged
    bench.keep('n2', 'k')
    bench.able.add('n3').add('n4').add('n5').add('n6')
    await bench.time.advance(maxAgeMs * 3)
    assert.deepEqual([bench.left, bench.missed], [1, []])
    refusing.delete('n6')
    await bench.time.advance(maxAgeMs)
    assert.deepEqual([bench.left, bench.missed], [0, ['n2/7']])
    bench.delivery.close()
  })

  it('go to the others alone where this node holds all of it as a replica', async () => {
    const bench = await Bench.open()
    bench.replicas = ['n1', 'n2', 'n3']
    bench.held = true
    bench.keep('n2', 'k')
    bench.able.add('n1')
    await bench.time.advance(maxAgeMs * 3)
    assert.deepEqual([bench.left, bench.sent.length, bench.missed], [1, 0, []])
    bench.able.add('n3')
    await bench.time.advance(maxAgeMs)
    assert.deepEqual([bench.sent.map(({ to }) => to), bench.left], [['n3'], 0])
    assert.deepEqual([bench.missed, bench.delivery.counters.expired], [['n2/7'], 1])
    bench.delivery.close()
  })

  it('are dropped where this node is the only replica and holds all of it', async () => {
    const bench = await Bench.open()
    bench.replicas = ['n1']
    bench.held = true
    bench.keep('n2', 'k')
    bench.able.add('n1')
    await bench.time.advance(10_000)
    assert.deepEqual([bench.left, bench.sent.length], [0, 0])
    bench.delivery.close()
  })
})
