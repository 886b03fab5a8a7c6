import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FirstHearing } from '../../repair/first-hearing.ts'

interface Opened {
  readonly hearing: FirstHearing
  readonly reachable: Set<string>
  readonly timers: (() => void)[]
}

/** Node a shares partition 0 with b and c, and partition 1 with c and d. */
function openHearing(): Opened {
  const reachable = new Set<string>()
  const timers: (() => void)[] = []
  const hearing = new FirstHearing({
    selfId: 'a',
    replicasOf: (partition) => (partition === 0 ? ['a', 'b', 'c'] : ['c', 'd', 'a']),
    isReachable: (id) => reachable.has(id),
    timers: {
      set: (callback) => {
        timers.push(callback)
        return {}
      },
      clear() {},
      atEndOfTurn: queueMicrotask
    }
  })
  return { hearing, reachable, timers }
}

describe('the first hearing of peers', () => {
  it('is due of the replicas that can be reached, and of nobody else', () => {
    const { hearing, reachable } = openHearing()
    assert.equal(hearing.isDue(0), false, 'nobody can be reached')
    reachable.add('b')
    assert.equal(hearing.isDue(0), true)
    assert.equal(hearing.isDue(1), false, 'b has no copy of it')
    hearing.heard('b')
    assert.equal(hearing.isDue(0), false)
  })

  it('is due of who asks, since it is there', () => {
    const { hearing } = openHearing()
    assert.equal(hearing.isDue(0, 'c'), true)
    assert.equal(hearing.isDue(0, 'd'), false, 'it has no copy of what it asks for')
    hearing.heard('c')
    assert.equal(hearing.isDue(0, 'c'), false)
  })

  it('lets a read wait for all who are due, and for no longer than the timer', async () => {
    const { hearing, reachable, timers } = openHearing()
    assert.equal(hearing.settled(0), null)
    reachable.add('b').add('c')
    let over = 0
    const first = hearing.settled(0)?.then(() => over++)
    hearing.heard('b')
    await Promise.resolve()
    assert.equal(over, 0, 'c is due still')
    hearing.heard('c')
    await first
    assert.equal(over, 1)
    reachable.add('d')
    const second = hearing.settled(1)
    timers.at(-1)?.()
    await second
    assert.equal(hearing.isDue(1), true, 'd has never been heard')
  })
})
