import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RepairRun, type RepairRunOptions } from '../../repair/repair-run.ts'
import { noCounters } from '../../repair/session-outcome.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { doneOutcome, failedOutcome, partitionOutcome } from './outcomes.ts'

function runOf(options: Partial<RepairRunOptions> = {}): RepairRun {
  return new RepairRun({
    id: 'r1',
    mode: 'incremental',
    dryRun: false,
    pairs: [
      { peer: 'n2', partitions: [0, 1, 2] },
      { peer: 'n3', partitions: [1, 2] }
    ],
    skipped: [],
    startedAtMs: 100,
    random: new SeededRandom(1),
    ...options
  })
}

const at = (nowMs: number) => ({ nowMs, finishedAtMs: nowMs + 1000 })

describe('a repair run', () => {
  it('is done when every pair of a partition and a peer came out equal', () => {
    const run = runOf()
    assert.deepEqual(run.next(0).ready, [
      { peer: 'n2', partitions: [0, 1, 2] },
      { peer: 'n3', partitions: [1, 2] }
    ])
    run.began('n2')
    run.ended(
      'n2',
      doneOutcome([0, 1, 2], {}, { rowsSent: 3, differences: 3, indexBytes: 70 }),
      at(5)
    )
    assert.deepEqual(run.status(5).partitions, { done: 3, total: 5 })
    assert.equal(run.status(5).state, 'running')
    run.began('n3')
    run.ended(
      'n3',
      doneOutcome([1, 2], {}, { rowsReceived: 1, differences: 1, indexBytes: 30 }),
      at(6)
    )
    const { state, counters, finishedAtMs, etaSeconds } = run.status(7)
    assert.deepEqual(
      { state, finishedAtMs, etaSeconds },
      { state: 'done', finishedAtMs: 1006, etaSeconds: null }
    )
    const { rowsSent, rowsReceived, differences, indexBytes } = counters
    assert.deepEqual([rowsSent, rowsReceived, differences, indexBytes], [3, 1, 4, 100])
  })

  it('tries what was busy again, after a while, and nothing else', () => {
    const run = runOf({ pairs: [{ peer: 'n2', partitions: [0, 1] }] })
    run.began('n2')
    assert.deepEqual(run.next(0).ready, [], 'one exchange with a peer at a time')
    run.ended('n2', doneOutcome([0], { 1: partitionOutcome('busy', 'n2 is busy') }), at(0))
    assert.equal(run.status(0).reason, 'n2: n2 is busy (1 partitions left)')
    const { ready, waitMs } = run.next(0)
    assert.deepEqual(ready, [])
    assert.ok(waitMs > 0 && waitMs < 300)
    assert.deepEqual(run.next(waitMs).ready, [{ peer: 'n2', partitions: [1] }])
    run.began('n2')
    run.ended('n2', doneOutcome([1]), at(1))
    assert.equal(run.status(1).state, 'done')
    assert.equal(run.status(1).reason, '')
  })

  it('fails, with the reason, where a peer is busy for ever', () => {
    const run = runOf({ pairs: [{ peer: 'n2', partitions: [0] }] })
    let nowMs = 0
    for (let attempt = 0; attempt < 1000 && !run.isOver; attempt++) {
      nowMs += run.next(nowMs).waitMs < Number.POSITIVE_INFINITY ? run.next(nowMs).waitMs : 0
      run.began('n2')
      run.ended('n2', failedOutcome('n2 is busy', 'busy'), at(nowMs))
    }
    assert.equal(run.status(nowMs).state, 'failed')
    assert.match(run.status(nowMs).reason, /^n2: n2 is busy, tried 60 times in vain/)
    assert.ok(nowMs > 120_000, `it tried for ${nowMs} ms`)
  })

  it('goes on with the others where a peer goes away, and fails in the end', () => {
    const run = runOf()
    run.lost('n2', 1)
    assert.deepEqual(run.peersLeft, ['n3'])
    run.began('n3')
    run.ended('n3', doneOutcome([1, 2]), at(2))
    const { state, reason, partitions } = run.status(3)
    assert.equal(state, 'failed')
    assert.equal(reason, 'n2 went away (3 partitions left)')
    assert.deepEqual(partitions, { done: 2, total: 5 })
  })

  it('takes a difference for compared in a dry run, and for unfinished otherwise', () => {
    for (const dryRun of [true, false]) {
      const run = runOf({ dryRun, pairs: [{ peer: 'n2', partitions: [0] }] })
      run.began('n2')
      run.ended('n2', doneOutcome([], { 0: partitionOutcome('differs', 'hot') }), at(1))
      assert.equal(run.status(1).state, dryRun ? 'done' : 'running')
    }
  })

  it('begins nothing more once it is cancelled', () => {
    const run = runOf()
    run.began('n2')
    run.cancel(77)
    assert.deepEqual(run.next(0).ready, [])
    run.ended('n2', failedOutcome('the repair was cancelled', 'cancelled'), at(1))
    assert.deepEqual([run.status(1).state, run.status(1).finishedAtMs], ['cancelled', 77])
  })

  it('is done at once where there is nobody to compare with', () => {
    const run = runOf({ pairs: [], skipped: ['n2'] })
    run.finishIfEmpty(5)
    assert.deepEqual([run.status(5).state, run.status(5).skipped], ['done', ['n2']])
  })

  /** Rows are found by listing leaves and shipped meanwhile; costs are in ms and not those that are assumed. */
  function etas(rows: number, costs: { readonly leafMs: number; readonly rowMs: number }) {
    const partitions = Array.from({ length: 256 }, (_, id) => id)
    const run = runOf({
      pairs: [
        { peer: 'n2', partitions },
        { peer: 'n3', partitions }
      ]
    })
    run.began('n3')
    run.ended('n3', doneOutcome(partitions), at(50))
    run.began('n2')
    const leaves = Math.min(rows, 262_144)
    const totalMs = leaves * costs.leafMs + rows * costs.rowMs
    const seen: { readonly fraction: number; readonly ratio: number }[] = []
    for (let elapsedMs = 0; elapsedMs < totalMs; elapsedMs += Math.max(100, totalMs / 200)) {
      const fraction = elapsedMs / totalMs
      // Listing runs ahead of shipping.
      const listed = Math.min(1, fraction * 1.5)
      const shipped = Math.round(rows * fraction)
      const counters = {
        ...noCounters,
        leavesCompared: Math.round(leaves * listed),
        leavesToCompare: Math.round(leaves * (1 - listed)),
        rowsReceived: shipped,
        rowsToShip: Math.round(rows * listed) - shipped
      }
      run.progress('n2', counters, 50 + elapsedMs)
      const eta = run.status(50 + elapsedMs).etaSeconds
      if (fraction >= 0.1 && eta !== null) {
        seen.push({ fraction, ratio: (eta * 1000) / (totalMs - elapsedMs) })
      }
    }
    return seen
  }

  it('says how long it takes within a factor of two after a tenth', () => {
    for (const rows of [10_000, 100_000, 1_000_000]) {
      for (const costs of [
        { leafMs: 0.02, rowMs: 0.03 },
        { leafMs: 0.3, rowMs: 0.025 },
        { leafMs: 0.01, rowMs: 0.3 }
      ]) {
        const seen = etas(rows, costs)
        const wrong = seen.filter(({ ratio }) => ratio < 0.5 || ratio > 2)
        assert.deepEqual(wrong, [], `${rows} rows, ${JSON.stringify(costs)}`)
        assert.ok(seen.length > 0)
      }
    }
  })
})
