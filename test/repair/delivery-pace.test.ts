import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeliveryPace, type DeliveryVerdict } from '../../repair/delivery-pace.ts'
import { lawRuns } from '../core/law-runs.ts'
import { seededRandom } from '../oracle/seeded-random.ts'

const verdicts = fc.array(
  fc.constantFrom<DeliveryVerdict>('acknowledged', 'acknowledged', 'refused', 'pushedBack'),
  { maxLength: 300 }
)

test('the window stays within its bounds, and one hint may always be on its way', () => {
  const law = fc.property(verdicts, fc.nat(5_000_000), (list, bytes) => {
    const pace = new DeliveryPace()
    const random = seededRandom(1)
    let nowMs = 0
    for (const verdict of list) {
      assert.ok(pace.hasRoom)
      let sent = 0
      while (pace.hasRoom) {
        pace.sent(bytes)
        sent++
        assert.ok(sent <= 128)
      }
      for (; sent > 0; sent--) pace.heard(verdict, bytes, nowMs, random)
      assert.ok(pace.window >= 1 && pace.window <= 128)
      assert.ok(pace.resumeAtMs - nowMs <= 30_000)
      if (verdict === 'pushedBack') assert.ok(pace.isPausing(nowMs))
      nowMs = Math.max(nowMs, pace.resumeAtMs)
      assert.ok(!pace.isPausing(nowMs))
    }
  })
  fc.assert(law, lawRuns(100))
})

test('pauses grow while nothing is acknowledged, and begin anew afterwards', () => {
  const pace = new DeliveryPace()
  const random = { fraction: () => 1, bytes: () => new Uint8Array() }
  const pauses: number[] = []
  let nowMs = 0
  const hear = (verdict: DeliveryVerdict) => {
    pace.sent(1)
    pace.heard(verdict, 1, nowMs, random)
  }
  for (let i = 0; i < 4; i++) {
    hear('pushedBack')
    pauses.push(pace.resumeAtMs - nowMs)
    nowMs = pace.resumeAtMs
  }
  assert.deepEqual(pauses, [250, 500, 1000, 2000])
  hear('acknowledged')
  hear('pushedBack')
  assert.equal(pace.resumeAtMs - nowMs, 250)
})

test('what failed together is one failure', () => {
  const pace = new DeliveryPace()
  const random = { fraction: () => 1, bytes: () => new Uint8Array() }
  for (let i = 0; i < 8; i++) pace.sent(1)
  for (let i = 0; i < 8; i++) pace.heard('pushedBack', 1, 0, random)
  assert.deepEqual([pace.resumeAtMs, pace.window, pace.inFlight], [250, 4, 0])
})

test('a few that are refused hold nobody up, and many in a row do', () => {
  const pace = new DeliveryPace()
  const random = seededRandom(1)
  const refuse = () => {
    pace.sent(1)
    pace.heard('refused', 1, 0, random)
  }
  for (let i = 0; i < 63; i++) refuse()
  assert.ok(!pace.isPausing(0))
  refuse()
  assert.ok(pace.isPausing(0))
})
