import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RequestMemory } from '../../repair/reconcile/request-memory.ts'
import { Pair } from './reconcile-pair.ts'
import { keyOf, MemorySide, version } from './reconcile-side.ts'

const mebibyte = 1024 * 1024

/** All rows but one are only at the other side, each of so many bytes. */
function largeRows(count: number, size: number) {
  const ours = new MemorySide(1)
  const theirs = new MemorySide(1)
  const same = [version('x')]
  for (const side of [ours, theirs]) side.set(keyOf('b', 'same'), same)
  for (let i = 0; i < count; i++) {
    theirs.set(keyOf('b', `large ${i}`), [version('n2', [], { value: Buffer.alloc(size, i) })])
  }
  const pair = new Pair(ours, theirs)
  return { ours, theirs, pair, answers: slowDown(pair) }
}

/** Answers take a second for each MiB; brings their sizes. */
function slowDown(pair: Pair): number[] {
  const sizes: number[] = []
  const deliver = pair.deliver.bind(pair)
  pair.deliver = (body, respond) =>
    deliver(body, (answer) => {
      const bytes = answer.kind === 'reconciled' ? answer.payload.length : 0
      sizes.push(bytes)
      pair.time.set(() => respond(answer), (1000 * bytes) / mebibyte)
    })
  return sizes
}

describe('large rows that are fetched', () => {
  test('come a few at a time, so that a slow network brings each answer in time', async () => {
    const { ours, theirs, pair, answers } = largeRows(20, mebibyte)
    const { counters } = await pair.run({ partitions: [0] })
    assert.ok(Math.max(...answers) < 2 * mebibyte, `${Math.max(...answers)} bytes`)
    assert.deepEqual(ours.roots(), theirs.roots())
    assert.equal(counters.rowsReceived, 20)
    assert.equal(counters.restarts, 0)
  })

  test('come together where they are not that large', async () => {
    const { ours, theirs, pair } = largeRows(64, 3000)
    const { counters } = await pair.run({ partitions: [0] })
    assert.deepEqual(ours.roots(), theirs.roots())
    assert.equal(counters.roundTrips, 5)
  })
})

describe('requests of a session', () => {
  const ignore = () => {}
  const answered = (memory: RequestMemory, number: number, bytes = 1) => {
    memory.begin(number, ignore)
    memory.answer(number, Buffer.alloc(bytes))
  }

  test('are answered once more from memory, however large the newest answers are', () => {
    const memory = new RequestMemory()
    for (const number of [1, 2, 3, 4, 5]) answered(memory, number, 9 * mebibyte)
    assert.equal(memory.recall(1).kind, 'forgotten')
    for (const number of [2, 3, 4, 5]) assert.equal(memory.recall(number).kind, 'answered')
  })

  test('are carried out where they are overtaken by many others', () => {
    const memory = new RequestMemory()
    answered(memory, 1)
    for (let number = 3; number < 40; number++) answered(memory, number)
    assert.equal(memory.recall(1).kind, 'forgotten')
    assert.equal(memory.recall(2).kind, 'new')
    answered(memory, 2)
    for (let number = 40; number < 80; number++) answered(memory, number)
    assert.equal(memory.recall(2).kind, 'forgotten', 'and only once')
  })

  test('are carried out anew where they failed, also after many others', () => {
    const memory = new RequestMemory()
    memory.begin(1, ignore)
    memory.fail(1)
    for (let number = 2; number < 40; number++) answered(memory, number)
    assert.equal(memory.recall(1).kind, 'new')
  })
})
