import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Throttle } from '../../repair/throttle.ts'
import { TokenBucket } from '../../repair/token-bucket.ts'
import { lawRuns } from '../core/law-runs.ts'
import { VirtualTime } from '../sim/virtual-time.ts'

function setUp(bytesPerSecond: number) {
  const time = new VirtualTime()
  const { clock, timers } = time
  return { time, clock, throttle: new Throttle({ clock, timers, bytesPerSecond }) }
}

describe('a token bucket', () => {
  it('lets through no more than the rate, a burst and one piece, over any time', () => {
    const asks = fc.array(fc.tuple(fc.nat(500), fc.integer({ min: 1, max: 2000 })), {
      minLength: 1
    })
    fc.assert(
      fc.property(asks, (pieces) => {
        const bucket = new TokenBucket(1000, 0)
        let nowMs = 0
        let taken = 0
        for (const [pauseMs, bytes] of pieces) {
          nowMs += pauseMs
          if (bucket.take(bytes, nowMs) > 0) continue
          assert.ok(taken <= nowMs + 250 + 1e-6, `${taken} bytes were taken within ${nowMs} ms`)
          taken += bytes
        }
      }),
      lawRuns(500)
    )
  })

  it('says exactly how long to wait', () => {
    const bucket = new TokenBucket(1000, 0)
    assert.equal(bucket.take(3000, 0), 0)
    assert.equal(bucket.take(1, 1000), 2000)
    assert.equal(bucket.take(1, 2999), 1)
    assert.equal(bucket.take(1, 3000), 0)
  })

  it('is not confused by a clock that goes back', () => {
    const bucket = new TokenBucket(1000, 5000)
    bucket.take(1000, 5000)
    assert.equal(bucket.take(1, 4000), 1000)
  })
})

describe('a throttle', () => {
  it('holds what passes to its rate, in the order of asking', async () => {
    const { time, clock, throttle } = setUp(1000)
    const passed: [number, number][] = []
    for (const piece of [1, 2, 3, 4]) {
      void throttle.pass(500).then(() => passed.push([piece, Math.round(clock.monotonic())]))
    }
    await time.advance(10_000)
    assert.deepEqual(passed, [
      [1, 0],
      [2, 500],
      [3, 1000],
      [4, 1500]
    ])
    assert.equal(throttle.passedBytes, 2000)
  })

  it('holds everybody at a rate of 0, and goes on when there is one again', async () => {
    const { time, throttle } = setUp(1000)
    throttle.setRate(0)
    let passed = false
    void throttle.pass(1).then(() => {
      passed = true
    })
    await time.advance(60_000)
    assert.equal(passed, false)
    assert.equal(throttle.waiting, 1)
    throttle.setRate(10)
    await time.advance(1000)
    assert.equal(passed, true)
  })

  it('lets everybody go when it is closed', async () => {
    const { throttle } = setUp(1000)
    throttle.setRate(0)
    const waiting = Promise.all([throttle.pass(1), throttle.pass(1)])
    throttle.close()
    await waiting
    await throttle.pass(1)
  })
})
