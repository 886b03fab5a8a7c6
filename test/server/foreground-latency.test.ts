import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ForegroundLatency } from '../../server/repair/foreground-latency.ts'
import { VirtualTime } from '../sim/virtual-time.ts'

describe('the foreground latency', () => {
  it('says nothing about a few requests', () => {
    const latency = new ForegroundLatency(new VirtualTime().clock)
    for (let i = 0; i < 9; i++) latency.observe(500)
    assert.equal(latency.percentileMs(0.99), null)
    latency.observe(500)
    assert.notEqual(latency.percentileMs(0.99), null)
  })

  it('is within a quarter of the true percentile', () => {
    const latency = new ForegroundLatency(new VirtualTime().clock)
    for (let i = 1; i <= 1000; i++) latency.observe(i / 10)
    const p99 = latency.percentileMs(0.99) ?? 0
    assert.ok(p99 >= 99 && p99 <= 99 * 1.25, `${p99} ms`)
  })

  it('forgets what is older than a second', async () => {
    const time = new VirtualTime()
    const latency = new ForegroundLatency(time.clock)
    for (let i = 0; i < 100; i++) latency.observe(900)
    await time.advance(700)
    for (let i = 0; i < 100; i++) latency.observe(1)
    assert.ok((latency.percentileMs(0.99) ?? 0) >= 900)
    await time.advance(500)
    assert.ok((latency.percentileMs(0.99) ?? 0) < 2)
    await time.advance(1000)
    assert.equal(latency.percentileMs(0.99), null)
  })
})
