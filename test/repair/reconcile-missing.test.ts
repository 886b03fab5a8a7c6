import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Pair } from './reconcile-pair.ts'
import { keyOf, MemorySide, version } from './reconcile-side.ts'

const lost = keyOf('b', 'its value cannot be read')

/** Replicas of which one holds a row alone, by a fetch, or by a stream where the other holds nothing. */
function twoSides(way: 'fetch' | 'stream', heldHere: boolean) {
  const ours = new MemorySide(1)
  const theirs = new MemorySide(1)
  if (way === 'fetch') {
    for (const i of [1, 2, 3]) {
      const same = [version('x')]
      for (const side of [ours, theirs]) side.set(keyOf('b', `key ${i}`), same)
    }
  }
  const [holder, other] = heldHere ? [ours, theirs] : [theirs, ours]
  holder.set(lost, [version('n2')])
  return { ours, theirs, holder, other, pair: new Pair(ours, theirs) }
}

/** The row is told of, and does not come where it is read, for so many times. */
function keepBack(side: MemorySide, times: number): void {
  let left = times
  const { readRows, slice } = side
  const isKept = () => left-- > 0
  side.readRows = async (wanted) =>
    isKept() ? wanted.map(() => null) : readRows.call(side, wanted)
  side.slice = async (request) => (isKept() ? { rows: [], next: null } : slice.call(side, request))
}

for (const way of ['fetch', 'stream'] as const) {
  for (const heldHere of [true, false]) {
    describe(`a row that was told of and does not go over (${way}, held ${heldHere ? 'here' : 'there'})`, () => {
      test('is asked for once more', async () => {
        const { ours, theirs, holder, pair } = twoSides(way, heldHere)
        // A stream of one partition is cut in four.
        keepBack(holder, way === 'fetch' ? 1 : 4)
        const { partitions } = await pair.run({ partitions: [0] })
        assert.equal(partitions.get(0)?.verdict, 'equal')
        assert.deepEqual(ours.roots(), theirs.roots())
        assert.equal(ours.proofs.length, 1)
      })

      test('keeps its partition from being called equal for as long as it stays away', async () => {
        const { ours, theirs, holder, other, pair } = twoSides(way, heldHere)
        keepBack(holder, Number.POSITIVE_INFINITY)
        const { end, partitions } = await pair.run({ partitions: [0] })
        assert.equal(end, 'done')
        assert.equal(other.get(lost).length, 0)
        assert.equal(partitions.get(0)?.verdict, 'differs')
        assert.match(partitions.get(0)?.reason ?? '', /read|did not send/)
        assert.equal(ours.proofs.length + theirs.proofs.length, 0)
        assert.equal(pair.ourLocks.held + pair.theirLocks.held, 0)
      })
    })
  }
}

for (const keptHere of [true, false]) {
  const where = keptHere ? 'here' : 'there'
  test(`a stream of nothing but what counts as absent ends equal (kept ${where})`, async () => {
    const ours = new MemorySide(1)
    const theirs = new MemorySide(1)
    for (const side of [ours, theirs]) {
      side.watermark = 'bb'.repeat(8)
      side.facts.set(`watermark ${side.watermark}`, Buffer.from('w'))
      side.covered = () => true
    }
    const holder = keptHere ? ours : theirs
    holder.set(lost, [version('n1', [], { tombstone: true })])
    const { partitions, counters } = await new Pair(ours, theirs).run({ partitions: [0] })
    assert.equal(partitions.get(0)?.verdict, 'equal')
    assert.equal(counters.rowsSent + counters.rowsReceived + counters.differences, 0)
    assert.equal(ours.proofs.length, 1)
  })
}
