import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type PeerFacts, Scheduler, type SchedulerFacts } from '../../repair/scheduler.ts'
import { lawRuns } from '../core/law-runs.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { doneOutcome, failedOutcome, partitionOutcome } from './outcomes.ts'

const intervalMs = 60_000

function schedulerOf(selfId = 'n1', seed = 1): Scheduler {
  return new Scheduler({ selfId, intervalMs, random: new SeededRandom(seed) })
}

function peer(id: string, facts: Partial<PeerFacts> = {}): PeerFacts {
  return {
    id,
    up: true,
    downSince: '',
    partitions: [0, 1, 2],
    early: [],
    differences: 0,
    isRunning: false,
    isBlocked: false,
    ...facts
  }
}

function facts(nowMs: number, peers: readonly PeerFacts[], more = {}): SchedulerFacts {
  return { nowMs, held: '', freeSlots: 2, peers, ...more }
}

/** The time at which something begins, looked at as often as a node does. */
function startOf(scheduler: Scheduler, peers: readonly PeerFacts[], fromMs: number) {
  for (let nowMs = fromMs; nowMs < fromMs + 10 * intervalMs; nowMs += 50) {
    const { start } = scheduler.next(facts(nowMs, peers))
    if (start !== null) return { ...start, atMs: nowMs }
  }
  return null
}

const round = (nowMs: number) => ({ nowMs, isWholeRound: true })

describe('the scheduler', () => {
  it('compares soon with a peer that came up, and then once an interval', () => {
    const scheduler = schedulerOf()
    const first = startOf(scheduler, [peer('n2')], 0)
    assert.ok(first !== null && first.atMs <= 1050)
    assert.deepEqual(first.partitions, [0, 1, 2])
    scheduler.ended('n2', round(first.atMs), doneOutcome([0, 1, 2]))
    const second = startOf(scheduler, [peer('n2')], first.atMs)
    const waitedMs = (second?.atMs ?? 0) - first.atMs
    assert.ok(waitedMs >= 0.9 * intervalMs - 50 && waitedMs <= 1.1 * intervalMs + 50)
  })

  it('lets the lower id go first, at every round', () => {
    for (let seed = 0; seed < 50; seed++) {
      const low = schedulerOf('n1', seed)
      const high = schedulerOf('n2', seed + 1000)
      const atLow = startOf(low, [peer('n2')], 0)?.atMs ?? 0
      const atHigh = startOf(high, [peer('n1')], 0)?.atMs ?? 0
      assert.ok(atLow < atHigh, `${atLow} is not before ${atHigh}`)
      low.ended('n2', round(atLow), doneOutcome([0, 1, 2]))
      high.responded('n1', round(atLow))
      const again = startOf(high, [peer('n1')], atLow)?.atMs ?? 0
      assert.ok((startOf(low, [peer('n2')], atLow)?.atMs ?? 0) < again)
    }
  })

  it('takes the other side over where the lower id does not come', () => {
    const scheduler = schedulerOf('n2')
    const start = startOf(scheduler, [peer('n1')], 0)
    assert.ok(start !== null && start.atMs <= intervalMs / 4 + 1100)
  })

  it('goes first where something was marked, and only there', () => {
    const scheduler = schedulerOf()
    const calm = [peer('n2'), peer('n3')]
    scheduler.next(facts(0, calm))
    for (const id of ['n2', 'n3']) scheduler.ended(id, round(0), doneOutcome([0, 1, 2]))
    const start = startOf(scheduler, [peer('n2'), peer('n3', { early: [1] })], 0)
    assert.deepEqual(
      { peer: start?.peer, partitions: start?.partitions },
      { peer: 'n3', partitions: [1] }
    )
    assert.ok(start !== null && start.atMs <= 1050 && !start.isWholeRound)
  })

  it('prefers who came up, then who waits longest, then who differed most', () => {
    const scheduler = schedulerOf()
    const all = [peer('n2'), peer('n3', { differences: 9 }), peer('n4', { differences: 5 })]
    const lateMs = 100 * intervalMs
    scheduler.next(facts(0, [...all, peer('n5', { up: false })]))
    for (const id of ['n2', 'n3', 'n4']) scheduler.ended(id, round(0), doneOutcome([0, 1, 2]))
    scheduler.next(facts(lateMs, [...all, peer('n5')], { held: 'not yet' }))
    const begun: string[] = []
    for (let i = 0; i < 4; i++) {
      const peers = [...all, peer('n5')].map((one) =>
        begun.includes(one.id) ? { ...one, isRunning: true } : one
      )
      begun.push(scheduler.next(facts(lateMs + 2000, peers)).start?.peer ?? '')
    }
    assert.equal(begun[0], 'n5')
    assert.deepEqual([...begun].sort(), ['n2', 'n3', 'n4', 'n5'])
  })

  it('tries again what was busy, later and later, and nothing else', () => {
    const scheduler = schedulerOf()
    scheduler.next(facts(0, [peer('n2')]))
    const busy = { 1: partitionOutcome('busy', 'n2 is busy') }
    scheduler.ended('n2', round(0), doneOutcome([0, 2], busy))
    let atMs = 0
    let lastWaitMs = 0
    for (let attempt = 0; attempt < 5; attempt++) {
      const start = startOf(scheduler, [peer('n2')], atMs)
      assert.deepEqual(start?.partitions, [1])
      assert.equal(start?.isWholeRound, false)
      const waitMs = (start?.atMs ?? 0) - atMs
      assert.ok(waitMs >= 500 && waitMs >= lastWaitMs / 2, `${waitMs} after ${lastWaitMs}`)
      lastWaitMs = waitMs
      atMs = start?.atMs ?? 0
      scheduler.ended('n2', { nowMs: atMs, isWholeRound: false }, doneOutcome([], busy))
    }
    assert.ok(lastWaitMs > 4000, 'it backs off')
    const leftover = startOf(scheduler, [peer('n2')], atMs)
    scheduler.ended('n2', { nowMs: leftover?.atMs ?? 0, isWholeRound: false }, doneOutcome([1]))
    assert.equal(startOf(scheduler, [peer('n2')], leftover?.atMs ?? 0)?.isWholeRound, true)
  })

  it('says for every peer why nothing begins', () => {
    const scheduler = schedulerOf()
    const peers = [
      peer('n2', { isRunning: true }),
      peer('n3', { up: false, downSince: '2026-01-01T00:00:00.000Z' }),
      peer('n4', { partitions: [] }),
      peer('n5')
    ]
    const { reasons, start } = scheduler.next(facts(0, peers))
    assert.equal(start, null)
    assert.equal(reasons.get('n2'), 'running')
    assert.equal(reasons.get('n3'), 'n3 is down since 2026-01-01T00:00:00.000Z')
    assert.equal(reasons.get('n4'), 'shares no partition with this node')
    assert.match(reasons.get('n5') ?? '', /^next round in 1 s$/)
    const blocked = scheduler.next(facts(5000, [peer('n5', { isBlocked: true })]))
    assert.equal(blocked.start, null)
    assert.equal(blocked.reasons.get('n5'), 'waiting for another exchange to end')
    const held = scheduler.next(facts(5000, peers, { held: 'paused by an operator' }))
    assert.equal(held.start, null)
    assert.equal(held.reasons.get('n5'), 'paused by an operator')
    const full = scheduler.next(facts(5000, peers, { freeSlots: 0 }))
    assert.equal(full.reasons.get('n5'), 'waiting for another exchange to end')
    scheduler.ended('n5', round(5000), failedOutcome('n5 is busy', 'busy'))
    const waiting = scheduler.next(facts(5000, peers)).reasons.get('n5') ?? ''
    assert.match(waiting, /^waiting: n5 is busy; next try in 1 s$/)
  })

  it('asks to be looked at no later than something is due', () => {
    const scheduler = schedulerOf()
    scheduler.next(facts(0, [peer('n2')]))
    scheduler.ended('n2', round(0), doneOutcome([0, 1, 2]))
    const { waitMs } = scheduler.next(facts(0, [peer('n2')]))
    assert.equal(scheduler.next(facts(waitMs - 1, [peer('n2')])).start, null)
    assert.equal(scheduler.next(facts(waitMs, [peer('n2')])).start?.peer, 'n2')
  })

  it('never tries twice without a pause, however it ends', () => {
    const ends = fc.constantFrom('done', 'partly', 'busy', 'failed', 'cancelled')
    fc.assert(
      fc.property(fc.array(ends, { minLength: 1, maxLength: 30 }), fc.nat(), (history, seed) => {
        const scheduler = schedulerOf('n1', seed)
        const peers = [peer('n2', { early: [2] })]
        let lastMs = Number.NEGATIVE_INFINITY
        for (const end of history) {
          const start = startOf(scheduler, peers, Math.max(0, lastMs))
          assert.ok(start !== null, 'it never gives up')
          const hasFailed = end !== 'done'
          const { atMs: nowMs, isWholeRound } = start
          const outcome =
            end === 'done'
              ? doneOutcome([0, 1, 2])
              : end === 'partly'
                ? doneOutcome([0], { 1: partitionOutcome('differs', 'hot') })
                : failedOutcome('because', end === 'busy' ? 'busy' : 'failed')
          scheduler.ended('n2', { nowMs, isWholeRound }, outcome)
          const { start: atOnce } = scheduler.next(facts(nowMs + 100, peers))
          if (hasFailed) assert.equal(atOnce, null)
          lastMs = nowMs
        }
      }),
      lawRuns(200)
    )
  })
})
