import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FailureDetector } from '../../ring/failure-detector.ts'

const silenceMs = 100

function detector(): FailureDetector {
  return new FailureDetector({ silenceMs })
}

type Observed = 'connected' | 'disconnected' | 'heard'

/** Observations of a few nodes, some time apart from each other, and a question some time after. */
const lives = fc.array(
  fc.record({
    id: fc.constantFrom('a', 'b'),
    what: fc.constantFrom<Observed>('connected', 'disconnected', 'heard'),
    laterMs: fc.constantFrom(0, 1, 50, 99, 100, 101)
  }),
  { maxLength: 30 }
)

/** The rules again, as plainly as they can be said: by looking at the whole life so far. */
function isUpByDefinition(life: readonly [Observed, number][], nowMs: number): boolean {
  let heardMs: number | null = null
  let connected = false
  for (const [what, atMs] of life) {
    if (what === 'disconnected' || (what === 'connected' && !connected)) heardMs = null
    if (what !== 'heard') connected = what === 'connected'
    else if (connected) heardMs = atMs
  }
  return connected && heardMs !== null && nowMs - heardMs < silenceMs
}

describe('failure detector', () => {
  it('takes a node that was never seen to be down', () => {
    assert.equal(detector().isUp('a', 0), false)
    assert.equal(detector().opinions(0).size, 0)
    assert.equal(detector().nextChangeMs(0), null)
  })

  it('takes a node to be up once it is connected and heard', () => {
    const peers = detector()
    peers.connected('a', 10)
    assert.equal(peers.isUp('a', 10), false)
    peers.heard('a', 20)
    assert.equal(peers.isUp('a', 20), true)
    assert.deepEqual(peers.opinions(30).get('a'), { up: true, sinceMs: 20 })
  })

  it('takes it down at once when the link breaks, and does not count what comes late', () => {
    const peers = detector()
    peers.connected('a', 0)
    peers.heard('a', 0)
    peers.disconnected('a', 5)
    peers.heard('a', 6)
    assert.deepEqual(peers.opinions(6).get('a'), { up: false, sinceMs: 5 })
    peers.connected('a', 7)
    assert.deepEqual(peers.opinions(7).get('a'), { up: false, sinceMs: 5 })
  })

  it('takes it down after silence, and up again when it is heard', () => {
    const peers = detector()
    peers.connected('a', 0)
    peers.heard('a', 10)
    assert.equal(peers.nextChangeMs(50), 110)
    assert.equal(peers.isUp('a', 109), true)
    assert.deepEqual(peers.opinions(110).get('a'), { up: false, sinceMs: 110 })
    assert.equal(peers.nextChangeMs(110), null)
    peers.heard('a', 130)
    assert.deepEqual(peers.opinions(140).get('a'), { up: true, sinceMs: 130 })
  })

  it('blames nobody for a pause of its own, and brings nobody back who was down before it', () => {
    const peers = detector()
    peers.connected('a', 0)
    peers.heard('a', 0)
    peers.connected('b', 0)
    peers.heard('b', 200)
    peers.connected('c', 0)
    peers.excuse(500, 750)
    assert.equal(peers.isUp('a', 750), false)
    assert.equal(peers.isUp('b', 750), true)
    assert.equal(peers.isUp('b', 799), true)
    assert.equal(peers.isUp('b', 800), false)
    assert.equal(peers.isUp('c', 750), false)
  })

  it('dates a break after silence from the silence', () => {
    const peers = detector()
    peers.connected('a', 0)
    peers.heard('a', 0)
    peers.disconnected('a', 500)
    assert.deepEqual(peers.opinions(600).get('a'), { up: false, sinceMs: 100 })
  })

  it('forgets', () => {
    const peers = detector()
    peers.connected('a', 0)
    peers.heard('a', 0)
    peers.forget('a')
    assert.equal(peers.isUp('a', 1), false)
    assert.equal(peers.opinions(1).size, 0)
  })

  it('agrees with the rules over any life, asking changes nothing, and changes are foretold', () => {
    fc.assert(
      fc.property(lives, fc.nat({ max: 250 }), (life, askedLaterMs) => {
        const asked = detector()
        const left = detector()
        const seen = new Map<string, [Observed, number][]>()
        let nowMs = 0
        for (const { id, what, laterMs } of life) {
          nowMs += laterMs
          asked[what](id, nowMs)
          left[what](id, nowMs)
          seen.set(id, [...(seen.get(id) ?? []), [what, nowMs]])
          asked.opinions(nowMs + 1000)
          asked.nextChangeMs(nowMs)
        }
        const laterMs = nowMs + askedLaterMs
        for (const [id, observations] of seen) {
          assert.equal(left.isUp(id, laterMs), isUpByDefinition(observations, laterMs))
        }
        assert.deepEqual(asked.opinions(laterMs), left.opinions(laterMs))
        assertForetold(left, nowMs)
      }),
      { numRuns: 500 }
    )
  })
})

/** Until the next change every opinion stays as it is; at that time at least one is another. */
function assertForetold(peers: FailureDetector, nowMs: number): void {
  const next = peers.nextChangeMs(nowMs)
  const before = peers.opinions(nowMs)
  if (next === null) {
    assert.deepEqual(peers.opinions(nowMs + 1_000_000), before)
    return
  }
  assert.deepEqual(peers.opinions(next - 1), before)
  assert.notDeepEqual(peers.opinions(next), before)
}
