import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ReconcileRequest } from '../../proto/frames.ts'

import { PartitionLocks } from '../../repair/reconcile/partition-locks.ts'
import { decodeQuestion } from '../../repair/reconcile/question-codec.ts'
import { encodeReply } from '../../repair/reconcile/reply-codec.ts'
import { ResponderSession } from '../../repair/reconcile/responder-session.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { type Fate, Pair } from './reconcile-pair.ts'
import { keyOf, MemorySide, tableName, version } from './reconcile-side.ts'

const partitionCount = 16
const partitions = Array.from({ length: partitionCount }, (_, p) => p)

/** Replicas of which each lacks something of the other. */
function diverged(keys: number) {
  const ours = new MemorySide(partitionCount)
  const theirs = new MemorySide(partitionCount)
  for (let i = 0; i < keys; i++) {
    const key = keyOf('b', `key ${i}`)
    const first = [version('x')]
    ours.set(key, first)
    theirs.set(key, first)
    if (i % 7 === 0) ours.put(key, [version('n1', first)])
    if (i % 11 === 0) theirs.put(key, [version('n2', first)])
  }
  return { ours, theirs, pair: new Pair(ours, theirs) }
}

describe('messages that are lost, repeated and late', () => {
  for (const seed of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
    test(`end in equal replicas, or in a session that failed and let go of everything (${seed})`, async () => {
      const { ours, theirs, pair } = diverged(300)
      const random = new SeededRandom(seed)
      const fates: readonly Fate[] = ['lost', 'twice', 'twice', 'late']
      pair.fate = () => (random.int(5) === 0 ? random.pick(fates) : 'arrives')
      for (let i = 0; i < 20 && ours.roots().join() !== theirs.roots().join(); i++) {
        const { end } = await pair.run({ partitions })
        assert.ok(end === 'done' || end === 'failed', end)
        assert.equal(pair.ourLocks.held, 0)
        await pair.time.pass(30_000)
      }
      assert.deepEqual(ours.roots(), theirs.roots())
      await pair.time.pass(30_000)
      assert.equal(pair.theirLocks.held, 0, 'the peer lets go of what it does not hear of')
      assert.equal(pair.responder.sessions, 0)
    })
  }

  test('a request that comes again is carried out once', async () => {
    const { ours, theirs, pair } = diverged(300)
    pair.fate = () => 'twice'
    const { counters } = await pair.run({ partitions })
    assert.deepEqual(ours.roots(), theirs.roots())
    assert.equal(theirs.received, counters.rowsSent)
    assert.equal(ours.received, counters.rowsReceived)
    assert.equal(counters.restarts, 0)
  })

  for (const lost of [false, true]) {
    test(`a session that proved nothing is over with its bye (whose answer is lost: ${lost})`, async () => {
      const { pair } = diverged(10)
      let byes = 0
      pair.onRequest = ({ number, payload }) => {
        if (number > 0 && decodeQuestion(payload).question.kind === 'bye') byes++
      }
      pair.fate = (direction) => (lost && byes === 1 && direction === 'answer' ? 'lost' : 'arrives')
      const { end } = await pair.run({ partitions, dryRun: true })
      assert.equal(end, 'done')
      assert.equal(byes, lost ? 2 : 1)
      assert.equal(pair.responder.sessions, 0)
      assert.equal(pair.theirLocks.held, 0)
      assert.equal(pair.reports.length, 1)
      assert.equal((await pair.run({ partitions })).end, 'done')
    })
  }

  test('no answer at all fails the session after three attempts, and nothing stays locked', async () => {
    const { pair } = diverged(10)
    pair.fate = () => 'lost'
    const { end } = await pair.run({ partitions })
    assert.equal(end, 'failed')
    assert.equal(pair.ourLocks.held + pair.theirLocks.held, 0)
  })
})

describe('messages of another session or snapshot', () => {
  test('change nothing, whoever sends them again and whenever', async () => {
    const { ours, theirs, pair } = diverged(200)
    const sent: ReconcileRequest[] = []
    pair.onRequest = (body) => sent.push({ ...body, payload: Buffer.from(body.payload) })
    await pair.run({ partitions })
    const key = keyOf('b', 'key 0')
    theirs.put(key, [version('n2', theirs.get(key))])
    const received = theirs.received
    const before = theirs.roots()
    const second = pair.start({ partitions })
    for (const body of sent) pair.deliver(body, () => {})
    for (const body of sent.toReversed())
      pair.deliver({ ...body, session: Buffer.alloc(8) }, () => {})
    await pair.time.until(second.ended)
    assert.deepEqual(theirs.roots(), before)
    assert.equal(theirs.received, received)
    assert.deepEqual(ours.roots(), theirs.roots())
  })

  test('a peer that forgot the session makes it begin anew from the roots', async () => {
    const { ours, theirs, pair } = diverged(300)
    let forgotten = false
    pair.onRequest = () => {
      if (pair.requests !== 3) return
      forgotten = true
      pair.time.atEndOfTurn(() => pair.responder.close())
    }
    const first = await pair.run({ partitions })
    assert.ok(forgotten)
    // What was ended on purpose does not come back under its old name.
    assert.ok(first.counters.restarts > 0)
    assert.equal((await pair.run({ partitions })).end, 'done')
    assert.deepEqual(ours.roots(), theirs.roots())
  })

  test('a snapshot that is not the session’s is refused by the side that is asked', async () => {
    const { theirs, pair } = diverged(300)
    const other = new Pair(new MemorySide(partitionCount), theirs)
    let asked = 0
    theirs.onCall = (name) => {
      if (name === 'list') asked++
    }
    const captured: ReconcileRequest[] = []
    pair.onRequest = (body) => captured.push(body)
    await pair.run({ partitions, dryRun: true })
    const open = captured[0]
    assert.ok(open)
    asked = 0
    const answers: string[] = []
    // The same conversation with a responder that took snapshots of its own.
    for (const body of captured.slice(0, -1)) {
      other.deliver(body, (answer) => answers.push(answer.kind))
      await other.time.pass(5)
    }
    assert.equal(answers.length, captured.length - 1)
    assert.equal(asked, 0, 'no leaf is listed for a snapshot that is not known')
  })

  test('another epoch ends the session cleanly', async () => {
    const { pair } = diverged(10)
    pair.answerInstead = () => ({
      kind: 'failure',
      code: 'epoch',
      message: 'another ring',
      details: ''
    })
    const { end, reason } = await pair.run({ partitions })
    assert.equal(end, 'failed')
    assert.match(reason, /another ring/)
    assert.equal(pair.ourLocks.held, 0)
  })
})

test('a partition that does not exist is not counted anew for a peer that asks for it', () => {
  const session = new ResponderSession({
    id: Buffer.alloc(8),
    peer: 'n1',
    side: new MemorySide(partitionCount),
    locks: new PartitionLocks(),
    youngMs: 0
  })
  const question = { kind: 'verify', partitions: [3, partitionCount] } as const
  const { value } = session.answer(question, { facts: [], wanted: [] }).next()
  assert.deepEqual(value, { kind: 'verify', partitions: [3] })
})

describe('an answer that leads nowhere', () => {
  test('ends a stream that would go on at the same place for ever', async () => {
    const theirs = new MemorySide(1)
    theirs.set(keyOf('b', 'key'), [version('n2')])
    const pair = new Pair(new MemorySide(1), theirs)
    const next = Buffer.from('o')
    const pulled = { kind: 'pulled', stale: false, wait: false, rows: [], next } as const
    let pulls = 0
    pair.answerInstead = ({ number, payload }) => {
      const isPull = number > 0 && decodeQuestion(payload).question.kind === 'pull'
      if (!isPull || ++pulls > 100) return null
      return { kind: 'reconciled', payload: encodeReply(pulled, { facts: [], wanted: [] }) }
    }
    const { end, reason } = await pair.run({ partitions: [0] })
    assert.equal(end, 'failed')
    assert.match(reason, /where they have been/)
    await pair.time.pass(20)
    assert.equal(pair.ourLocks.held + pair.theirLocks.held, 0)
  })
})

describe('a session that is cancelled', () => {
  for (const at of ['list', 'read', 'receive', 'sync']) {
    test(`writes nothing any more (during ${at})`, async () => {
      const { ours, pair } = diverged(3000)
      const running = pair.start({ partitions })
      let received = -1
      ours.onCall = (name) => {
        if (name === at && received < 0) {
          running.cancel('the operator said so')
          received = ours.received
        }
      }
      const { end, reason } = await pair.time.until(running.ended)
      assert.equal(end, 'cancelled')
      assert.match(reason, /operator/)
      await pair.time.pass(20_000)
      // The call in which it was cancelled had begun; it may end.
      assert.ok(ours.received <= received + 64)
      assert.equal(ours.proofs.length, 0)
      assert.equal(pair.ourLocks.held + pair.theirLocks.held, 0)
    })
  }
})

test('a session that is cancelled does not take in the rest of what had just arrived', async () => {
  const ours = new MemorySide(partitionCount)
  const theirs = new MemorySide(partitionCount)
  for (let i = 0; i < 8000; i++) theirs.set(keyOf('b', `key ${i}`), [version('n2')])
  const pair = new Pair(ours, theirs)
  const running = pair.start({ partitions })
  let calls = 0
  ours.onCall = (name) => {
    if (name === 'receive' && ++calls === 1) running.cancel('the operator said so')
  }
  await pair.time.until(running.ended)
  await pair.time.pass(20_000)
  assert.equal(calls, 1)
})

test('a session that is cancelled while rows are taken in says that they are not wanted any more', async () => {
  const { ours, pair } = diverged(300)
  const running = pair.start({ partitions })
  const wanted: boolean[] = []
  const { receive } = ours
  ours.receive = async (rows, peer, isWanted) => {
    wanted.push(isWanted())
    running.cancel('the operator said so')
    wanted.push(isWanted())
    return receive.call(ours, rows, peer, isWanted)
  }
  await pair.time.until(running.ended)
  assert.deepEqual(wanted, [true, false])
})

test('a partition that changed while it was repaired is compared again before it is called equal', async () => {
  const { ours, theirs, pair } = diverged(300)
  let changes = 0
  theirs.onCall = (name) => {
    if (name === 'receive' && changes++ === 0) {
      for (let i = 0; i < 50; i++) theirs.set(keyOf('b', `meanwhile ${i}`), [version('n2')])
    }
  }
  const { partitions: outcomes } = await pair.run({ partitions })
  assert.ok([...outcomes.values()].every(({ verdict }) => verdict === 'equal'))
  assert.deepEqual(ours.roots(), theirs.roots())
})

describe('proofs', () => {
  test('are noted where both sides are on disk, under the table that the session began with', async () => {
    const { ours, theirs, pair } = diverged(300)
    theirs.facts.clear()
    const { end, partitions: outcomes } = await pair.run({ partitions })
    assert.equal(end, 'done')
    for (const { verdict } of outcomes.values()) assert.equal(verdict, 'equal')
    assert.ok(theirs.facts.has(`table ${tableName}`), 'the table was handed over')
    for (const side of [ours, theirs]) {
      const proven = side.proofs.flatMap((note) => note.partitions).sort((a, b) => a - b)
      assert.deepEqual(proven, partitions)
      assert.ok(side.proofs.every(({ table }) => table === tableName))
    }
    assert.deepEqual(
      pair.reports.flatMap(({ proven }) => [...proven]).sort((a, b) => a - b),
      partitions
    )
  })

  test('are prepared durably on both sides before either notes one', async () => {
    const { ours, theirs, pair } = diverged(300)
    const sides = [ours, theirs]
    const unprepared = new Set<number>()
    for (const side of sides) {
      const note = side.noteProof.bind(side)
      side.noteProof = (proof) => {
        for (const { durablyPrepared } of sides) {
          const prepared = durablyPrepared.filter(({ table }) => table === proof.table)
          const numbers = prepared.flatMap((each) => each.partitions)
          for (const partition of proof.partitions)
            if (!numbers.includes(partition)) unprepared.add(partition)
        }
        return note(proof)
      }
    }
    await pair.run({ partitions })
    assert.deepEqual([...unprepared], [])
    assert.equal(ours.proofs.flatMap((note) => note.partitions).length, partitionCount)
  })

  for (const at of ['here', 'there'] as const) {
    test(`are bounded by the damage that was known before the trees were copied (${at})`, async () => {
      const { ours, theirs, pair } = diverged(0)
      const side = at === 'here' ? ours : theirs
      let found = 0
      let begun = -1
      side.offers = () => {
        begun = found
        return []
      }
      const { snapshots } = side
      side.snapshots = async (numbers) => {
        const copies = await snapshots.call(side, numbers)
        found++
        return copies
      }
      await pair.run({ partitions: [0] })
      assert.equal(found, 1)
      assert.equal(begun, 0, 'what is found with the copies or later is found during the exchange')
    })
  }

  test('are not noted here without the answer that the peer’s rows are on disk', async () => {
    const { ours, theirs, pair } = diverged(0)
    // The peer notes, and its answer is lost.
    pair.fate = (direction, count) => (direction === 'answer' && count > 2 ? 'lost' : 'arrives')
    const { end } = await pair.run({ partitions })
    assert.equal(end, 'failed')
    assert.equal(theirs.proofs.length, 1)
    assert.equal(ours.proofs.length, 0)
  })

  test('are not noted here where the peer could not note them', async () => {
    const { ours, theirs, pair } = diverged(0)
    theirs.facts.clear()
    theirs.learn = () => {}
    const { partitions: outcomes } = await pair.run({ partitions })
    assert.ok([...outcomes.values()].every(({ verdict }) => verdict === 'later'))
    assert.equal(ours.proofs.length + theirs.proofs.length, 0)
  })

  test('a row that was refused keeps its partition from being proven', async () => {
    const { ours, theirs, pair } = diverged(0)
    const key = keyOf('b', 'refused')
    theirs.set(keyOf('b', 'another'), [version('n2')])
    for (let i = 0; i < 200; i++) {
      const same = [version('x')]
      ours.set(keyOf('b', `k${i}`), same)
      theirs.set(keyOf('b', `k${i}`), same)
    }
    ours.set(key, [version('n1')])
    theirs.judge = () => ({ kind: 'refused', reason: 'n3 cannot be asked' })
    const { partitions: outcomes, counters } = await pair.run({ partitions })
    const { partition } = ours.trees.leafOf(key)
    const outcome = outcomes.get(partition)
    assert.equal(outcome?.verdict, 'differs')
    assert.match(outcome?.reason ?? '', /n3 cannot be asked/)
    assert.equal(counters.refused, 1)
    const proven = [...ours.proofs, ...theirs.proofs].flatMap((note) => note.partitions)
    assert.ok(!proven.includes(partition))
    assert.equal(pair.theirLocks.held, 0)
  })
})

describe('partitions that are taken', () => {
  test('three nodes that compare in a ring all come to an end', async () => {
    const sides = ['a', 'b', 'c'].map((name) => {
      const side = new MemorySide(partitionCount)
      for (let i = 0; i < 100; i++) side.set(keyOf('b', `${name} ${i % 60}`), [version(name)])
      return side
    })
    const [a, b, c] = sides
    assert.ok(a && b && c)
    const pairs = [new Pair(a, b), new Pair(b, c), new Pair(c, a)]
    for (let round = 0; round < 4; round++) {
      for (const pair of pairs) {
        const { end } = await pair.run({ partitions })
        assert.equal(end, 'done')
      }
    }
    assert.equal(new Set(sides.map((side) => side.roots().join())).size, 1)
  })

  test('are answered as busy on either side, and the others are compared', async () => {
    const { pair } = diverged(100)
    const holder = {}
    pair.theirLocks.take([3], holder)
    pair.ourLocks.take([5], holder)
    const { end, partitions: outcomes } = await pair.run({ partitions })
    assert.equal(end, 'done')
    const busy = [...outcomes].filter(([, { verdict }]) => verdict === 'busy').map(([p]) => p)
    assert.deepEqual(busy.sort(), [3, 5])
    assert.equal([...outcomes.values()].filter(({ verdict }) => verdict === 'equal').length, 14)
    pair.theirLocks.take(partitions, holder)
    assert.equal((await pair.run({ partitions: [3, 4] })).end, 'busy')
  })
})
