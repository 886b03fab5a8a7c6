import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { MemoryLevel } from 'memory-level'
import type { TimerHandle } from '../../core/ports.ts'
import { EventQueue } from './event-queue.ts'
import { NodeTime } from './node-time.ts'
import { VirtualTime } from './virtual-time.ts'

describe('event queue', () => {
  test('gives what was added and not cancelled, by time and then in order', () => {
    const entry = fc.record({ atMs: fc.nat(20), cancelled: fc.boolean() })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 200 }), (entries) => {
        const queue = new EventQueue()
        const taken: number[] = []
        const events = entries.map(({ atMs }, i) => queue.add(atMs, () => taken.push(i)))
        events.forEach((event, i) => {
          if (entries[i]?.cancelled === true) queue.cancel(event)
        })
        const expected = entries
          .map(({ atMs, cancelled }, i) => ({ atMs, cancelled, i }))
          .filter(({ cancelled }) => !cancelled)
          .sort((a, b) => a.atMs - b.atMs || a.i - b.i)
        assert.equal(queue.size, expected.length)
        for (const { atMs } of expected) {
          assert.equal(queue.nextMs, atMs)
          queue.take()?.()
        }
        assert.equal(queue.take(), null)
        assert.equal(queue.nextMs, Number.POSITIVE_INFINITY)
        assert.deepEqual(
          taken,
          expected.map(({ i }) => i)
        )
      })
    )
  })

  test('stays right when most of a large queue is cancelled', () => {
    const queue = new EventQueue()
    const taken: number[] = []
    for (let i = 0; i < 5000; i++) {
      const event = queue.add((i * 7919) % 5000, () => taken.push((i * 7919) % 5000))
      if (i % 10 !== 0) queue.cancel(event)
    }
    assert.equal(queue.size, 500)
    while (queue.size > 0) queue.take()?.()
    assert.equal(taken.length, 500)
    assert.deepEqual(
      taken,
      taken.toSorted((a, b) => a - b)
    )
  })
})

describe('virtual time', () => {
  test('passes only when it is let, and stands at each event when it happens', async () => {
    const time = new VirtualTime()
    const log: string[] = []
    for (const delayMs of [30, 10, 20, 10]) {
      time.timers.set(() => log.push(`${delayMs} at ${time.clock.monotonic()}`), delayMs)
    }
    assert.deepEqual(log, [])
    await time.run(15)
    assert.deepEqual(log, ['10 at 10', '10 at 10'])
    assert.equal(time.nowMs, 15)
    await time.advance(15)
    assert.deepEqual(log.slice(2), ['20 at 20', '30 at 30'])
  })

  test('waits until the program has settled', async () => {
    const time = new VirtualTime()
    const db = new MemoryLevel<string, string>()
    const keys = Array.from({ length: 2000 }, (_, i) => String(i).padStart(5, '0'))
    let settledAtMs = -1
    time.timers.set(() => {
      const work = async (): Promise<void> => {
        await db.batch(keys.map((key) => ({ type: 'put' as const, key, value: key })))
        for (let i = 0; i < 100; i++) await Promise.resolve()
        assert.equal((await db.keys().all()).length, keys.length)
        settledAtMs = time.nowMs
      }
      void work()
    }, 5)
    let settledBeforeNext = false
    time.timers.set(() => {
      settledBeforeNext = settledAtMs === 5
    }, 6)
    await time.run(10)
    assert.ok(settledBeforeNext)
  })

  test('waits also where it is let run outside of any continuation, as a message begins it', async () => {
    const time = new VirtualTime()
    let isSettled = false
    const work = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await null
      isSettled = true
    }
    const wasSettled = await new Promise<boolean>((resolve) => {
      setImmediate(() => {
        void work()
        resolve(time.runUntil(() => isSettled, 0))
      })
    })
    assert.ok(wasSettled)
  })

  test('ends a turn after its continuations and before anything else happens', async () => {
    const time = new VirtualTime()
    const log: string[] = []
    time.timers.set(() => {
      time.timers.atEndOfTurn(() => {
        log.push('end of turn')
        time.timers.atEndOfTurn(() => log.push('end of that'))
      })
      log.push('event')
      void Promise.resolve().then(() => log.push('continuation'))
    }, 1)
    time.timers.set(() => log.push('next event'), 1)
    await time.run(2)
    assert.deepEqual(log, ['event', 'continuation', 'end of turn', 'end of that', 'next event'])
  })

  test('runs until a condition holds, or says that it did not come to hold', async () => {
    const time = new VirtualTime()
    let ticks = 0
    const tick = (): void => {
      ticks++
      time.timers.set(tick, 10)
    }
    tick()
    assert.equal(await time.runUntil(() => ticks === 4, 1000), true)
    assert.equal(time.nowMs, 30)
    assert.equal(await time.runUntil(() => ticks === 100, 55), false)
    assert.equal(ticks, 9)
  })

  test('a timer that was cleared does not fire; one that fired may be cleared', async () => {
    const time = new VirtualTime()
    const fired: string[] = []
    const cleared = time.timers.set(() => fired.push('cleared'), 1)
    const kept: TimerHandle = time.timers.set(() => fired.push('kept'), 1)
    time.timers.clear(cleared)
    time.timers.clear(cleared)
    await time.run(2)
    time.timers.clear(kept)
    assert.deepEqual(fired, ['kept'])
  })

  test('an error in an event ends the run', async () => {
    const time = new VirtualTime()
    time.timers.set(() => assert.fail('in an event'), 1)
    await assert.rejects(time.run(2), /in an event/)
    await time.run(3)
  })
})

describe('the time of a node', () => {
  test('its wall clock is off and jumps; its monotonic clock does neither', async () => {
    const time = new VirtualTime()
    const node = new NodeTime(time, { offsetMs: -500 })
    await time.run(1000)
    assert.equal(node.clock.now() - time.clock.now(), -500)
    node.jump(2000)
    assert.equal(node.clock.now() - time.clock.now(), 1500)
    assert.equal(node.clock.monotonic(), 1000)
  })

  test('a clock that drifts runs fast or slow', async () => {
    const time = new VirtualTime()
    const fast = new NodeTime(time, { driftPpm: 1000 })
    const slow = new NodeTime(time, { driftPpm: -1000 })
    await time.run(1_000_000)
    assert.equal(Math.round(fast.clock.monotonic()), 1_001_000)
    assert.equal(Math.round(slow.clock.monotonic()), 999_000)
  })

  test('no timer fires before its own clock says so, nor much later', async () => {
    const delay = fc.oneof(fc.nat(1e7), fc.double({ min: 0, max: 1e7, noNaN: true }))
    const drift = fc.oneof(
      fc.constantFrom(-500_000, -200_000, 0, 250_000),
      fc.integer({ min: -200_000, max: 200_000 })
    )
    await fc.assert(
      fc.asyncProperty(drift, fc.array(delay, { maxLength: 20 }), async (driftPpm, delays) => {
        const time = new VirtualTime()
        const node = new NodeTime(time, { driftPpm })
        await time.run(12_345.678)
        const startMs = node.clock.monotonic()
        let fired = 0
        for (const delayMs of delays) {
          node.timers.set(() => {
            const lateMs = node.clock.monotonic() - startMs - delayMs
            assert.ok(lateMs >= 0 && lateMs < 0.01, `${lateMs} ms late`)
            fired++
          }, delayMs)
        }
        await time.advance(3e7)
        assert.equal(fired, delays.length)
      }),
      { numRuns: 30 }
    )
  })

  test('what comes due during a pause waits for its end, and can be cancelled until then', async () => {
    const time = new VirtualTime()
    const node = new NodeTime(time)
    const log: string[] = []
    const note = (name: string) => () => log.push(`${name} at ${node.clock.monotonic()}`)
    node.timers.set(() => {
      note('first')()
      node.timers.clear(third)
    }, 20)
    node.timers.set(note('second'), 30)
    const third = node.timers.set(note('third'), 40)
    node.timers.set(note('later'), 200)
    node.pause()
    await time.run(100)
    assert.deepEqual(log, [])
    node.resume()
    await time.run(300)
    assert.deepEqual(log, ['first at 100', 'second at 100', 'later at 200'])
  })

  test('nothing fires after the end of its life', async () => {
    const time = new VirtualTime()
    const node = new NodeTime(time)
    node.timers.set(() => assert.fail('a timer of the dead'), 10)
    node.timers.atEndOfTurn(() => assert.fail('an end of turn of the dead'))
    node.stop()
    node.timers.set(() => assert.fail('a timer set by the dead'), 1)
    await time.run(100)
    assert.equal(time.pendingCount, 0)
  })
})
