import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { WorkShare } from '../../repair/work-share.ts'
import { VirtualTime } from '../sim/virtual-time.ts'

/** Works in turns of `turnMs` for as long as given, and answers how much of that was work. */
async function workFor(
  durationMs: number,
  {
    turnMs,
    requests,
    waitMs = 0,
    restAtMost
  }: { turnMs: number; requests: number; waitMs?: number; restAtMost?: number }
): Promise<{ part: number; longestRestMs: number }> {
  const time = new VirtualTime()
  const { timers } = time
  let workedMs = 0
  let longestRestMs = 0
  const clock = { now: () => 0, monotonic: () => time.nowMs + workedAheadMs }
  // Work takes no virtual time: the clock is set ahead by it, and time catches up before the next turn.
  let workedAheadMs = 0
  const share = new WorkShare({ clock, timers, requestsPerSecond: () => requests })
  const turn = () => {
    const sinceMs = clock.monotonic()
    workedAheadMs = turnMs
    workedMs += turnMs
    share.worked(sinceMs, restAtMost)
    const beganRestMs = clock.monotonic()
    timers.set(() => {
      workedAheadMs = 0
      timers.set(
        () =>
          share.next(() => {
            longestRestMs = Math.max(longestRestMs, clock.monotonic() - beganRestMs)
            turn()
          }),
        waitMs
      )
    }, turnMs)
  }
  turn()
  await time.run(durationMs)
  return { part: workedMs / durationMs, longestRestMs }
}

describe('the share of repair', () => {
  it('is all of the time while nobody else wants it', async () => {
    const { part } = await workFor(10_000, { turnMs: 4, requests: 9 })
    assert.ok(part > 0.99, `${part}`)
  })

  it('is a fifth of it while users are hard at work', async () => {
    for (const turnMs of [2, 4, 20]) {
      for (const requests of [200, 10_000]) {
        const { part } = await workFor(10_000, { turnMs, requests })
        assert.ok(part > 0.17 && part < 0.21, `turns of ${turnMs} ms: ${part}`)
      }
    }
  })

  it('is larger where users ask for less', async () => {
    const { part: half } = await workFor(10_000, { turnMs: 4, requests: 50 })
    assert.ok(half > 0.45 && half < 0.51, `${half}`)
    const { part: most } = await workFor(10_000, { turnMs: 10, requests: 10 })
    assert.ok(most > 0.75 && most < 0.86, `${most}`)
  })

  it('is larger for work that asks for less rest', async () => {
    const { part } = await workFor(10_000, { turnMs: 4, requests: 200, restAtMost: 2 })
    assert.ok(part > 0.28 && part < 0.34, `${part}`)
  })

  it('takes waiting for a peer for rest', async () => {
    const { part } = await workFor(10_000, { turnMs: 4, requests: 100, waitMs: 8 })
    assert.ok(part > 0.28 && part < 0.34, `${part}`)
  })

  it('rests no longer than a tenth of a second, however long something took', async () => {
    const { longestRestMs } = await workFor(20_000, { turnMs: 2000, requests: 200 })
    assert.ok(longestRestMs <= 101, `${longestRestMs}`)
  })
})
