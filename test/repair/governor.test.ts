import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { Governor, type GovernorObservation } from '../../repair/governor.ts'
import { lawRuns } from '../core/law-runs.ts'

const limits = { bytesPerSecondMax: 1_000_000, latencyTargetMs: 50, pendingBytesTarget: 1000 }
const calm: GovernorObservation = { foregroundP99Ms: 5, eventLoopDelayMs: 1, pendingBytes: 0 }
const alone: GovernorObservation = { foregroundP99Ms: null, eventLoopDelayMs: 0, pendingBytes: 0 }
const slow = (p99: number): GovernorObservation => ({ ...calm, foregroundP99Ms: p99 })

function stepped(observations: readonly GovernorObservation[]): Governor {
  const governor = new Governor(limits)
  for (const observation of observations) governor.step(observation)
  return governor
}

const times = (count: number, observation: GovernorObservation) =>
  Array.from({ length: count }, () => observation)

describe('the governor', () => {
  it('gives the whole rate where nobody is disturbed, however late the event loop is', () => {
    const { pace } = stepped(times(20, { ...alone, eventLoopDelayMs: 500 }))
    assert.deepEqual(pace, { state: 'running', bytesPerSecond: 1_000_000, reason: '' })
  })

  it('halves the rate at once where the foreground is above its target, and says why', () => {
    const { pace } = stepped([slow(83)])
    assert.equal(pace.state, 'slowed')
    assert.equal(pace.bytesPerSecond, 500_000)
    assert.equal(pace.reason, 'foreground p99 83 ms is above 50 ms')
  })

  it('does not pause for one slow moment, and does where it stays far above the target', () => {
    assert.equal(stepped(times(3, slow(400))).pace.state, 'slowed')
    assert.deepEqual(stepped(times(4, slow(400))).pace, {
      state: 'paused',
      bytesPerSecond: 0,
      reason: 'foreground p99 400 ms is above 50 ms'
    })
  })

  it('pauses where the lowest rate does not help either', () => {
    assert.equal(stepped(times(5, slow(60))).pace.state, 'slowed')
    assert.equal(stepped(times(12, slow(60))).pace.state, 'paused')
  })

  it('slows down for a late event loop and for a disk that is behind', () => {
    assert.match(stepped([{ ...calm, eventLoopDelayMs: 70 }]).pace.reason, /event loop is 70 ms/)
    assert.match(stepped([{ ...alone, pendingBytes: 2048 }]).pace.reason, /2 KiB wait for the disk/)
  })

  it('goes on by itself, slowly at first, and comes back to the whole rate', () => {
    const governor = stepped(times(10, slow(400)))
    assert.equal(governor.pace.state, 'paused')
    assert.equal(governor.step(calm).state, 'slowed')
    assert.ok(governor.pace.bytesPerSecond > 0 && governor.pace.bytesPerSecond < 100_000)
    for (const observation of times(41, calm)) governor.step(observation)
    assert.equal(governor.pace.state, 'running')
  })

  it('never exceeds its maximum, and is at 0 exactly while it is paused', () => {
    const observation = fc.record({
      foregroundP99Ms: fc.option(fc.double({ min: 0, max: 500, noNaN: true })),
      eventLoopDelayMs: fc.double({ min: 0, max: 200, noNaN: true }),
      pendingBytes: fc.nat(3000)
    })
    fc.assert(
      fc.property(fc.array(observation), (observations) => {
        const governor = new Governor(limits)
        for (const seen of observations) {
          const before = governor.pace.bytesPerSecond
          const { state, bytesPerSecond, reason } = governor.step(seen)
          assert.ok(bytesPerSecond <= limits.bytesPerSecondMax)
          assert.equal(bytesPerSecond === 0, state === 'paused')
          assert.equal(reason === '', state === 'running')
          const isCalm =
            (seen.foregroundP99Ms === null ||
              Math.max(seen.foregroundP99Ms, seen.eventLoopDelayMs) <= 50) &&
            seen.pendingBytes <= 1000
          if (isCalm) assert.ok(bytesPerSecond >= before)
          else assert.ok(bytesPerSecond <= before)
        }
      }),
      lawRuns(500)
    )
  })
})
