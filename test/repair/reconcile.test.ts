import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Versions } from '../../storage/version.ts'
import { Pair } from './reconcile-pair.ts'
import { keyOf, MemorySide, version } from './reconcile-side.ts'

const all = (count: number) => Array.from({ length: count }, (_, p) => p)

function twoSides(keys: number, partitions = 16) {
  const ours = new MemorySide(partitions)
  const theirs = new MemorySide(partitions)
  for (let i = 0; i < keys; i++) {
    const key = keyOf('b', `key ${i}`)
    const same = [version('x')]
    ours.set(key, same)
    theirs.set(key, same)
  }
  return { ours, theirs, pair: new Pair(ours, theirs) }
}

describe('two replicas that hold the same', () => {
  test('say so in two round trips, ship nothing, and note the proof on both sides', async () => {
    const { ours, theirs, pair } = twoSides(500)
    const { end, counters, partitions } = await pair.run({ partitions: all(16) })
    assert.equal(end, 'done')
    assert.equal(counters.roundTrips, 2)
    assert.equal(counters.rowsSent + counters.rowsReceived + counters.differences, 0)
    assert.deepEqual(
      [...partitions.values()].map(({ verdict }) => verdict),
      all(16).map(() => 'equal')
    )
    assert.deepEqual(
      ours.proofs.flatMap((note) => note.partitions),
      all(16)
    )
    assert.deepEqual(
      theirs.proofs.flatMap((note) => note.partitions),
      all(16)
    )
    assert.equal(pair.ourLocks.held + pair.theirLocks.held, 0)
  })
})

describe('replicas that differ', () => {
  test('end with the merge of both, and only what was lacking is shipped', async () => {
    const { ours, theirs, pair } = twoSides(2000)
    const overwritten = keyOf('b', 'key 1')
    ours.put(overwritten, [version('n1', ours.get(overwritten))])
    const stale = keyOf('b', 'key 2')
    theirs.put(stale, [version('n2', theirs.get(stale))])
    const siblings = keyOf('b', 'key 3')
    ours.put(siblings, [version('n1')])
    theirs.put(siblings, [version('n2')])
    ours.put(keyOf('b', 'only here'), [version('n1')])
    theirs.put(keyOf('b', 'only there'), [version('n2', [], { tombstone: true })])
    const { end, counters } = await pair.run({ partitions: all(16) })
    assert.equal(end, 'done')
    assert.deepEqual(ours.roots(), theirs.roots())
    assert.equal(ours.get(siblings).length, 3)
    assert.equal(counters.differences, 5)
    assert.equal(counters.rowsSent, 3)
    assert.equal(counters.rowsReceived, 3)
    assert.ok(counters.roundTrips <= 7, `${counters.roundTrips} round trips`)
    const known = counters.indexBytes + counters.dataBytesSent + counters.dataBytesReceived
    assert.ok(pair.bytes <= known, 'the bytes of the index are not understated')
  })

  test('in a bucket that keeps the latest, only the latest goes over', async () => {
    const { ours, theirs, pair } = twoSides(300)
    ours.mode = 'lww'
    theirs.mode = 'lww'
    for (let i = 0; i < 20; i++) {
      const key = keyOf('b', `key ${i}`)
      ours.set(key, [version('n1', [], { timeMs: 2000 + (i % 2) })])
      theirs.set(key, [version('n2', [], { timeMs: 2001 - (i % 2) })])
    }
    const { counters } = await pair.run({ partitions: all(16) })
    assert.deepEqual(ours.roots(), theirs.roots())
    assert.equal(counters.rowsSent, 10)
    assert.equal(counters.rowsReceived, 10)
  })

  test('in a bucket that has come to keep the latest, whoever holds more than that lets go of it', async () => {
    const { ours, theirs, pair } = twoSides(300)
    const latest = version('n2', [], { timeMs: 2000 })
    const held: readonly (readonly [Versions, Versions])[] = [
      [[version('n1'), latest], [latest]],
      [[latest], [version('n1'), latest]],
      [
        [version('n1'), latest],
        [version('n3'), latest]
      ]
    ]
    for (const [i, [here, there]] of held.entries()) {
      ours.set(keyOf('b', `siblings ${i}`), here)
      theirs.set(keyOf('b', `siblings ${i}`), there)
    }
    ours.mode = 'lww'
    theirs.mode = 'lww'
    const { partitions, counters } = await pair.run({ partitions: all(16) })
    for (const { verdict, reason } of partitions.values()) assert.equal(verdict, 'equal', reason)
    assert.deepEqual(ours.roots(), theirs.roots())
    for (const i of held.keys()) {
      assert.deepEqual(ours.get(keyOf('b', `siblings ${i}`)), [latest])
    }
    assert.equal(counters.rowsSent, 2)
    assert.equal(counters.rowsReceived, 2)
  })

  test('an empty replica is filled from either side without comparing anything', async () => {
    for (const emptyHere of [true, false]) {
      const full = new MemorySide()
      for (let i = 0; i < 3000; i++) full.set(keyOf('b', `key ${i}`), [version('n1')])
      const empty = new MemorySide()
      const [ours, theirs] = emptyHere ? [empty, full] : [full, empty]
      const { end, counters } = await new Pair(ours, theirs).run({ partitions: all(16) })
      assert.equal(end, 'done')
      assert.deepEqual(ours.roots(), theirs.roots())
      assert.equal(counters.rowsSent + counters.rowsReceived, 3000)
      assert.equal(counters.leavesCompared, 0)
      assert.equal(counters.differences, 3000)
    }
  })

  test('a dry run counts what differs, and neither ships nor proves', async () => {
    const { ours, theirs, pair } = twoSides(300)
    for (let i = 0; i < 25; i++) ours.put(keyOf('b', `new ${i}`), [version('n1')])
    const before = [ours.roots(), theirs.roots()]
    const { counters, partitions } = await pair.run({ partitions: all(16), dryRun: true })
    assert.equal(counters.differences, 25)
    assert.equal(counters.rowsSent + counters.rowsReceived, 0)
    assert.deepEqual([ours.roots(), theirs.roots()], before)
    assert.equal(ours.proofs.length + theirs.proofs.length, 0)
    assert.ok([...partitions.values()].some(({ verdict }) => verdict === 'differs'))
    assert.equal(pair.theirLocks.held, 0)
  })
})

describe('a difference that is young', () => {
  test('is not acted on where it goes away by itself', async () => {
    const { ours, theirs, pair } = twoSides(300)
    const key = keyOf('b', 'key 9')
    const written = version('n1', ours.get(key), { timeMs: pair.time.now() })
    ours.put(key, [written])
    const running = pair.start({ partitions: all(16) })
    pair.time.set(() => theirs.put(key, [written]), 1000)
    const { end, counters } = await pair.time.until(running.ended)
    assert.equal(end, 'done')
    assert.equal(counters.rowsSent + counters.rowsReceived, 0)
    assert.deepEqual(ours.roots(), theirs.roots())
  })

  test('is acted on where it is still there after the time in which writes spread', async () => {
    const { ours, theirs, pair } = twoSides(300)
    const key = keyOf('b', 'key 9')
    theirs.put(key, [version('n2', theirs.get(key), { timeMs: pair.time.now() })])
    const began = pair.time.now()
    const { counters } = await pair.run({ partitions: all(16) })
    assert.equal(counters.rowsReceived, 1)
    assert.deepEqual(ours.roots(), theirs.roots())
    assert.ok(pair.time.now() - began >= 2000)
  })
})

describe('tombstones that both sides may have collected', () => {
  function collected() {
    const sides = twoSides(100)
    const key = keyOf('b', 'deleted')
    const tombstone = version('n1', [], { tombstone: true })
    for (const side of [sides.ours, sides.theirs]) {
      side.watermark = 'bb'.repeat(8)
      side.facts.set(`watermark ${side.watermark}`, Buffer.from('w'))
      side.covered = () => true
    }
    return { ...sides, key, tombstone }
  }

  for (const keptHere of [true, false]) {
    test(`count as absent, and are never shipped (kept ${keptHere ? 'here' : 'there'})`, async () => {
      const { ours, theirs, pair, key, tombstone } = collected()
      const holder = keptHere ? ours : theirs
      holder.put(key, [tombstone])
      const { counters, partitions } = await pair.run({ partitions: all(16) })
      assert.equal(counters.rowsSent + counters.rowsReceived + counters.differences, 0)
      assert.ok([...partitions.values()].every(({ verdict }) => verdict === 'equal'))
      assert.deepEqual(holder.get(key), [tombstone])
    })
  }

  for (const keptHere of [true, false]) {
    for (const mode of ['siblings', 'lww'] as const) {
      const where = keptHere ? 'here' : 'there'
      test(`go over where they bury what the other side shows (kept ${where}, ${mode})`, async () => {
        const { ours, theirs, pair, key } = collected()
        ours.mode = mode
        theirs.mode = mode
        const buried = version('n2')
        const overwrites = mode === 'siblings' ? [buried] : []
        const later = { tombstone: true, timeMs: 1001 }
        const [holder, other] = keptHere ? [ours, theirs] : [theirs, ours]
        holder.put(key, [version('n1', overwrites, later)])
        other.put(key, [buried])
        const { partitions } = await pair.run({ partitions: all(16) })
        assert.deepEqual(
          other.get(key).map(({ tombstone }) => tombstone),
          [true]
        )
        assert.deepEqual(ours.roots(), theirs.roots())
        assert.ok([...partitions.values()].every(({ verdict }) => verdict === 'equal'))
      })
    }
  }

  test('do not hide the rest of their row', async () => {
    const { ours, theirs, pair, key, tombstone } = collected()
    const value = version('n2')
    ours.put(key, [tombstone])
    theirs.put(key, [value])
    const { counters } = await pair.run({ partitions: all(16) })
    assert.equal(counters.rowsSent, 0)
    assert.equal(counters.rowsReceived, 1)
    assert.equal(ours.get(key).length, 2)
    assert.equal(theirs.get(key).length, 1)
  })
})

describe('versions that the others knew to be gone', () => {
  test('are set aside on both sides, whoever held them', async () => {
    for (const heldHere of [true, false]) {
      const { ours, theirs, pair } = twoSides(100)
      const key = keyOf('b', 'key 5')
      const zombie = version('z')
      const [holder, other] = heldHere ? [ours, theirs] : [theirs, ours]
      holder.put(key, [zombie])
      other.judge = () => ({ kind: 'quarantined', dots: [zombie.dot] })
      const { counters } = await pair.run({ partitions: all(16) })
      assert.equal(counters.quarantined, 1)
      assert.deepEqual(
        holder.aside.map(({ dots }) => dots),
        [[zombie.dot]]
      )
      assert.deepEqual(ours.roots(), theirs.roots())
      assert.equal(ours.get(key).length, 1)
    }
  })
})

describe('an exchange that recomputes trees first', () => {
  test('leaves alone what is compared with somebody else', async () => {
    const { ours, theirs, pair } = twoSides(100)
    const other = {}
    pair.ourLocks.take([1, 2], other)
    const { recomputed } = await pair.run({ partitions: all(5), recompute: [0, 1, 3, 9] })
    assert.deepEqual(recomputed, [0, 3])
    assert.deepEqual(ours.verified, [0, 3])
    assert.deepEqual(theirs.verified, [0, 3])
  })

  test('says how far it came where it fails', async () => {
    const { theirs, pair } = twoSides(100)
    theirs.onCall = () => {
      if (theirs.verified.length === 2) throw new Error('the rows cannot be read')
    }
    const { end, recomputed } = await pair.run({ partitions: all(5), recompute: all(5) })
    assert.equal(end, 'failed')
    assert.deepEqual(recomputed, [0, 1])
  })

  test('does not count what was asked of a peer that forgot the session', async () => {
    const { theirs, pair } = twoSides(100)
    theirs.onCall = () => pair.responder.close()
    const { recomputed } = await pair.run({ partitions: all(3), recompute: all(3) })
    assert.deepEqual(recomputed, [])
  })

  function slowVerify() {
    const sides = twoSides(100)
    const { theirs, pair } = sides
    const verifying = { begun: 0, ms: 120_000 }
    theirs.verify = () => {
      verifying.begun++
      return new Promise((resolve) => pair.time.set(resolve, verifying.ms))
    }
    return { ...sides, verifying }
  }

  test('waits for a peer that takes long, and asks it for nothing twice', async () => {
    const { pair, verifying } = slowVerify()
    const { end, recomputed } = await pair.run({ partitions: all(3), recompute: all(2) })
    assert.equal(end, 'done')
    assert.deepEqual(recomputed, [0, 1])
    assert.equal(verifying.begun, 2)
  })

  test('waits no more once it is cancelled', async () => {
    const { pair } = slowVerify()
    const session = pair.start({ partitions: all(3), recompute: all(2) })
    await pair.time.pass(60_000)
    session.cancel('enough')
    assert.equal((await pair.time.until(session.ended)).end, 'cancelled')
    await pair.time.pass(30_000)
    const { requests } = pair
    await pair.time.pass(600_000)
    assert.equal(pair.requests, requests)
  })

  test('does not wait for ever', async () => {
    const { pair, verifying } = slowVerify()
    verifying.ms = 1e9
    const { end, reason } = await pair.run({ partitions: all(3), recompute: all(2) })
    assert.deepEqual([end, reason], ['failed', 'no answer of n2: timeout'])
  })

  test('does not wait for a peer that went away', async () => {
    const { pair } = slowVerify()
    pair.onRequest = (body) => {
      if (body.number === 0) return
      pair.answerInstead = () => ({ kind: 'noResponse', reason: 'unreachable' })
    }
    const { end } = await pair.run({ partitions: all(3), recompute: all(2) })
    assert.equal(end, 'failed')
    assert.ok(pair.requests < 10)
  })
})
