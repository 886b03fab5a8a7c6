import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { workOf } from '../../repair/reconcile/leaf-comparison.ts'
import { youngMsOf } from '../../repair/reconcile/leaf-content.ts'
import { decodeQuestion } from '../../repair/reconcile/question-codec.ts'
import { hashContent, type Version } from '../../storage/version.ts'
import { emptyVector, makeActor } from '../../storage/version-vector.ts'
import { Pair } from './reconcile-pair.ts'
import { keyOf, MemorySide, version } from './reconcile-side.ts'

const nowMs = 1_000_000
const youngMs = 2000

function writtenAt(timeMs: number): Version {
  const dot = { actor: makeActor('incarnat', 1), counter: 1 }
  const payload = {
    tombstone: true,
    timeMs,
    expiresAtMs: 0,
    contentType: '',
    meta: [],
    size: 0,
    value: null
  }
  return { ...payload, dot, past: emptyVector, contentHash: hashContent(dot, payload) }
}

const youngFor = (...agesMs: number[]) =>
  youngMsOf(
    agesMs.map((ageMs) => writtenAt(nowMs - ageMs)),
    nowMs,
    youngMs
  )

describe('a difference is young', () => {
  it('for what is left of the time in which a write spreads, after the latest write', () => {
    assert.equal(youngFor(500), 1500)
    assert.equal(youngFor(60_000, 500), 1500)
    assert.equal(youngFor(2000), 0)
    assert.equal(youngFor(), 0)
  })

  it('no longer where the clock of the writer is a little ahead', () => {
    assert.equal(youngFor(-300), 2000)
  })

  it('not at all where clocks disagree by so much that age means nothing', () => {
    assert.equal(youngFor(-2000), 0)
    assert.equal(youngFor(-120_000), 0)
    assert.equal(youngFor(-120_000, 500), 1500)
  })

  it('for no longer than this side would wait itself, whatever the other side says', () => {
    const { dot, past } = writtenAt(nowMs)
    const foundFor = (theirsMs: number) => {
      const header = { keyDigest: 7, youngMs: theirsMs, versions: [{ dot, past, timeMs: null }] }
      const reply = { lacking: [], rows: [header] }
      const absence = { watermark: null, nowMs }
      const rules = { side: new MemorySide(1), session: Buffer.alloc(8), absence, nowMs, youngMs }
      const [found] = workOf({ leaf: 0, rows: [], hidden: new Map() }, reply, rules)
      return found?.youngMs
    }
    assert.equal(foundFor(1200), 1200)
    assert.equal(foundFor(Number.MAX_SAFE_INTEGER), youngMs)
  })
})

describe('a version that came in after the leaf was listed', () => {
  const partitions = [0]

  /** The other side holds a newer version of one key of many; the write comes through while leaves are compared. */
  async function compareWhile(comes: boolean) {
    const ours = new MemorySide(1)
    const theirs = new MemorySide(1)
    for (let i = 0; i < 100; i++) {
      const same = [version('n1')]
      for (const side of [ours, theirs]) side.set(keyOf('b', `key ${i}`), same)
    }
    const key = keyOf('b', 'key 7')
    const newer = [version('n2', ours.get(key))]
    theirs.set(key, newer)
    const pair = new Pair(ours, theirs)
    pair.onRequest = ({ payload }) => {
      if (comes && decodeQuestion(payload).question.kind === 'leaves') ours.set(key, newer)
    }
    const { end, reason, counters } = await pair.run({ partitions })
    assert.equal(end, 'done', reason)
    assert.deepEqual(ours.roots(), theirs.roots())
    return counters.rowsReceived
  }

  it('is not fetched', async () => {
    assert.equal(await compareWhile(true), 0)
    assert.equal(await compareWhile(false), 1)
  })
})
