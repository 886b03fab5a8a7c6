import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Upkeep } from '../../server/repair/upkeep.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { VirtualTime } from '../sim/virtual-time.ts'

function setUp(run: () => Promise<void>) {
  const time = new VirtualTime()
  const warnings: string[] = []
  const upkeep = new Upkeep({
    timers: time.timers,
    random: new SeededRandom(1),
    log: {
      debug: () => {},
      info: () => {},
      warn: (_fields, message) => warnings.push(message),
      error: () => {}
    },
    tasks: [{ name: 'a task', everyMs: 1000, run }]
  })
  return { time, warnings, upkeep }
}

describe('upkeep', () => {
  it('does a task again and again, also after it has failed', async () => {
    let times = 0
    const { time, warnings, upkeep } = setUp(async () => {
      times++
      if (times === 2) throw new Error('for once')
    })
    upkeep.start()
    await time.advance(10_000)
    assert.ok(times >= 9 && times <= 11, `${times} times`)
    assert.deepEqual(warnings, ['upkeep has failed'])
    await upkeep.stop()
    await time.advance(10_000)
    assert.ok(times <= 11)
  })

  it('never does a task twice at the same time, and stops only behind it', async () => {
    let running = 0
    let finish = () => {}
    const { time, upkeep } = setUp(async () => {
      assert.equal(++running, 1)
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      running--
    })
    upkeep.start()
    await time.advance(10_000)
    assert.equal(running, 1)
    let stopped = false
    const stopping = upkeep.stop().then(() => {
      stopped = true
    })
    await time.advance(1000)
    assert.equal(stopped, false)
    finish()
    await stopping
    assert.equal(running, 0)
  })
})
