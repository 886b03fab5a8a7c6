import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { type TestContext, test } from 'node:test'
import { AnnealError } from '../../core/errors.ts'
import { EventFeed, type EventSink } from '../../server/dashboard/event-feed.ts'

const intervalMs = 1000

/** A client that takes what it is sent, or does not. */
class FakeClient extends EventEmitter implements EventSink {
  writableLength = 0
  isSlow = false
  isEnded = false
  isDestroyed = false
  texts: string[] = []

  write(text: string): void {
    this.texts.push(text)
    if (this.isSlow) this.writableLength += text.length
  }

  end(): void {
    this.isEnded = true
  }

  destroy(): void {
    this.isDestroyed = true
  }

  /** The names and data of the events since the last call. */
  take(): string[] {
    const found = this.texts.join('').matchAll(/^event: (.*)\ndata: (.*)$/gm)
    this.texts = []
    return [...found].map(([, name, data]) => `${name} ${data}`)
  }
}

/** A feed on a clock that the test moves, with events that the test sets. */
function openFeed(context: TestContext, listenersMax = 2) {
  context.mock.timers.enable({ apis: ['setInterval'] })
  const world = { events: new Map([['a', '1']]), reads: 0, awakenings: 0, isStopping: false }
  const feed = new EventFeed({
    read: () => {
      world.reads++
      return new Map(world.events)
    },
    onAwake: () => {
      world.awakenings++
    },
    isStopping: () => world.isStopping,
    listenersMax,
    intervalMs
  })
  const tick = (times = 1) => context.mock.timers.tick(intervalMs * times)
  return { feed, world, tick }
}

test('a listener is told everything at once, and then what has changed', (context) => {
  const { feed, world, tick } = openFeed(context)
  world.events.set('b', '1')
  const client = new FakeClient()
  feed.add(client)
  assert.deepEqual(client.take(), ['a 1', 'b 1'])
  tick()
  assert.deepEqual(client.take(), [])
  world.events.set('b', '2')
  tick()
  assert.deepEqual(client.take(), ['b 2'])
})

test('a slow listener is skipped and then told the newest, all that it missed included', (context) => {
  const { feed, world, tick } = openFeed(context)
  const slow = new FakeClient()
  slow.isSlow = true
  feed.add(slow)
  slow.take()
  for (const value of ['2', '3', '4']) {
    world.events.set('a', value).set('b', value)
    tick()
  }
  assert.deepEqual(slow.take(), [], 'nothing is added to what it has not taken')
  slow.writableLength = 0
  tick()
  assert.deepEqual(slow.take(), ['a 4', 'b 4'])
})

test('a listener that takes nothing is let go of', (context) => {
  const { feed, tick } = openFeed(context)
  const stuck = new FakeClient()
  stuck.isSlow = true
  feed.add(stuck)
  tick(29)
  assert.equal(stuck.isDestroyed, false)
  tick()
  assert.equal(stuck.isDestroyed, true)
  assert.equal(feed.listenerCount, 0)
})

test('more listeners than are allowed are refused as overloaded, until one has gone', (context) => {
  const { feed } = openFeed(context)
  const first = new FakeClient()
  feed.add(first)
  feed.add(new FakeClient())
  const isOverloaded = (error: unknown) =>
    error instanceof AnnealError && error.code === 'overloaded'
  assert.throws(() => feed.add(new FakeClient()), isOverloaded)
  first.emit('close')
  feed.add(new FakeClient())
  assert.equal(feed.listenerCount, 2)
})

test('nothing is read while nobody listens', (context) => {
  const { feed, world, tick } = openFeed(context)
  tick(5)
  assert.equal(world.reads, 0)
  const client = new FakeClient()
  feed.add(client)
  client.emit('close')
  const { reads } = world
  tick(5)
  assert.equal(world.reads, reads)
  const next = new FakeClient()
  feed.add(next)
  assert.equal(world.awakenings, 2)
  assert.deepEqual(next.take(), ['a 1'], 'who comes later is told everything too')
})

test('all streams end when the node stops, and no new one begins', (context) => {
  const { feed, world, tick } = openFeed(context)
  const client = new FakeClient()
  feed.add(client)
  world.isStopping = true
  tick()
  assert.equal(client.isEnded, true)
  assert.equal(feed.listenerCount, 0)
  const isNotReady = (error: unknown) => error instanceof AnnealError && error.code === 'not_ready'
  assert.throws(() => feed.add(new FakeClient()), isNotReady)
})
