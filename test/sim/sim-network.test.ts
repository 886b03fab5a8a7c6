import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Journal, type Recorded, Recorder } from '../contract/recorder.ts'
import { SeededRandom } from './seeded-random.ts'
import { SimNetwork, type SimNetworkOptions } from './sim-network.ts'
import { VirtualTime } from './virtual-time.ts'

const addressOfB = '10.0.0.2:9801'

interface World {
  readonly time: VirtualTime
  readonly network: SimNetwork
  /** The connection that a dials to b, and its other end. */
  readonly dialed: Recorded
  readonly accepted: Recorded
}

function record(): Recorder {
  return new Recorder(new Journal())
}

async function connectedWorld(seed = 1, options: Partial<SimNetworkOptions> = {}): Promise<World> {
  const time = new VirtualTime()
  const network = new SimNetwork({ time, random: new SeededRandom(seed), ...options })
  const accepted: Recorded[] = []
  await network.transportFor('b').listen(addressOfB, (connection) => {
    const recorder = record()
    accepted.push({ connection, recorder })
    return recorder
  })
  const recorder = record()
  const connection = network.transportFor('a').dial(addressOfB, 'small', recorder)
  assert.ok(await time.runUntil(() => recorder.isOpen, 100))
  const [first] = accepted
  assert.ok(first !== undefined)
  return { time, network, dialed: { connection, recorder }, accepted: first }
}

function texts(recorder: Recorder): string[] {
  return recorder.messages.map((message) => Buffer.from(message).toString())
}

describe('simulated network', () => {
  async function digestOf(seed: number): Promise<string> {
    const { time, network, dialed, accepted } = await connectedWorld(seed)
    network.faults.repeat = 0.1
    network.faults.lose = 0.1
    const random = new SeededRandom(seed).fork('workload')
    for (let i = 0; i < 200; i++) {
      const { connection } = random.chance(0.5) ? dialed : accepted
      connection.send(random.bytes(random.int(300)))
      if (random.chance(0.05)) network.cutOneWay('a', 'b')
      if (random.chance(0.1)) network.healAll()
      await time.advance(random.between(0, 20))
    }
    network.crash('a')
    await time.advance(60_000)
    return network.traceDigest
  }

  test('the same seed gives the same run, another seed another', async () => {
    const [first, again, other] = [await digestOf(1), await digestOf(1), await digestOf(2)]
    assert.equal(first, again)
    assert.notEqual(first, other)
  })

  test('messages take the latency that was set, and keep their order', async () => {
    const { time, network, dialed, accepted } = await connectedWorld()
    network.setLatency('a', 'b', { minMs: 50, maxMs: 60 })
    const startMs = time.nowMs
    for (let i = 0; i < 20; i++) dialed.connection.send(Buffer.from(String(i)))
    await time.advance(49)
    assert.deepEqual(texts(accepted.recorder), [])
    assert.ok(await time.runUntil(() => accepted.recorder.messages.length === 20, 100))
    assert.ok(time.nowMs - startMs <= 61)
    assert.deepEqual(
      texts(accepted.recorder),
      Array.from({ length: 20 }, (_, i) => String(i))
    )
  })

  test('a sender may reuse its memory, and a receiver may keep what it got', async () => {
    const { time, dialed, accepted } = await connectedWorld()
    const message = Buffer.from('before')
    dialed.connection.send(message)
    message.fill('x')
    await time.advance(100)
    assert.deepEqual(texts(accepted.recorder), ['before'])
  })

  test('a cut is silence; what was sent arrives after a heal', async () => {
    const { time, network, dialed, accepted } = await connectedWorld()
    network.cut('a', 'b')
    dialed.connection.send(Buffer.from('one'))
    await time.advance(5000)
    dialed.connection.send(Buffer.from('two'))
    await time.advance(4000)
    assert.deepEqual(texts(accepted.recorder), [])
    assert.ok(!dialed.recorder.isClosed && !accepted.recorder.isClosed)
    network.heal('a', 'b')
    await time.advance(100)
    assert.deepEqual(texts(accepted.recorder), ['one', 'two'])
    await time.advance(60_000)
    assert.ok(!dialed.recorder.isClosed, 'the keepalive of a cut that has healed is void')
  })

  test('a cut of one direction leaves the other', async () => {
    const { time, network, dialed, accepted } = await connectedWorld()
    network.cutOneWay('a', 'b')
    dialed.connection.send(Buffer.from('to b'))
    accepted.connection.send(Buffer.from('to a'))
    await time.advance(100)
    assert.deepEqual(texts(accepted.recorder), [])
    assert.deepEqual(texts(dialed.recorder), ['to a'])
  })

  test('a cut that lasts ends the connection on both sides', async () => {
    const { time, network, dialed, accepted } = await connectedWorld(1, { keepaliveMs: 3000 })
    network.cutOneWay('b', 'a')
    await time.advance(2999)
    assert.ok(!dialed.recorder.isClosed && !accepted.recorder.isClosed)
    await time.advance(2)
    assert.match(dialed.recorder.closeReason ?? '', /keepalive/)
    assert.match(accepted.recorder.closeReason ?? '', /keepalive/)
  })

  test('dialing across a cut gives up in time', async () => {
    const { time, network } = await connectedWorld(1, { connectTimeoutMs: 2000 })
    network.cut('a', 'b')
    const recorder = record()
    network.transportFor('a').dial(addressOfB, 'small', recorder)
    await time.advance(1999)
    assert.deepEqual(recorder.events, [])
    await time.advance(2)
    assert.match(recorder.closeReason ?? '', /did not answer/)
  })

  test('a crashed node hears nothing more, and its peer sees a close', async () => {
    for (const [victim, side] of [
      ['a', 'dialed'],
      ['b', 'accepted']
    ] as const) {
      const world = await connectedWorld()
      const other = side === 'dialed' ? world.accepted : world.dialed
      const heard = world[side].recorder.events.length
      other.connection.send(Buffer.from('too late'))
      world.network.crash(victim)
      world[side].connection.send(Buffer.from('from beyond'))
      assert.ok(!other.recorder.isClosed, 'the close takes its time')
      await world.time.advance(100)
      assert.match(other.recorder.closeReason ?? '', /reset/)
      assert.deepEqual(other.recorder.messages, [])
      assert.equal(world[side].recorder.events.length, heard)
    }
  })

  test('a crashed node frees its address for its next life', async () => {
    const { time, network } = await connectedWorld()
    network.crash('b')
    const refused = record()
    network.transportFor('a').dial(addressOfB, 'small', refused)
    await time.advance(100)
    assert.match(refused.closeReason ?? '', /refused/)
    await network.transportFor('b').listen(addressOfB, record)
    const welcome = record()
    network.transportFor('a').dial(addressOfB, 'small', welcome)
    await time.advance(100)
    assert.ok(welcome.isOpen)
  })

  test('repeats and losses strike messages, and leave the connection open', async () => {
    const { time, network, dialed, accepted } = await connectedWorld()
    network.faults.repeat = 1
    dialed.connection.send(Buffer.from('twice'))
    await time.advance(100)
    assert.deepEqual(texts(accepted.recorder), ['twice', 'twice'])
    network.faults.repeat = 0
    network.faults.lose = 1
    dialed.connection.send(Buffer.from('never'))
    await time.advance(100)
    network.faults.lose = 0
    dialed.connection.send(Buffer.from('once'))
    await time.advance(100)
    assert.deepEqual(texts(accepted.recorder), ['twice', 'twice', 'once'])
  })

  test('the window stays full while nothing gets through', async () => {
    const { time, network, dialed } = await connectedWorld(1, { sendWindowBytes: 10_000 })
    network.cutOneWay('a', 'b')
    while (dialed.connection.send(Buffer.alloc(1000)));
    await time.advance(5000)
    assert.equal(dialed.recorder.drains, 0)
    network.heal('a', 'b')
    await time.advance(100)
    assert.equal(dialed.recorder.drains, 1)
  })
})
