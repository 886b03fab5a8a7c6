import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { systemClock, systemRandom, systemTimers } from '../../server/system-ports.ts'

describe('system timers', () => {
  test('fire once, and not when cleared', { timeout: 10_000 }, async () => {
    let fired = 0
    const cleared = systemTimers.set(() => assert.fail('cleared'), 1)
    systemTimers.clear(cleared)
    await new Promise<void>((resolve) => {
      const held = setTimeout(() => assert.fail('the timer never fired'), 9000)
      systemTimers.set(() => {
        fired++
        systemTimers.set(() => {
          clearTimeout(held)
          resolve()
        }, 5)
      }, 1)
    })
    assert.equal(fired, 1)
    systemTimers.clear(cleared)
    systemTimers.clear({})
  })

  test('a delay longer than Node.js can wait for does not fire at once', async () => {
    const far = systemTimers.set(() => assert.fail('fired 292 years early'), 2 ** 43)
    await new Promise<void>((resolve) => setTimeout(resolve, 3))
    systemTimers.clear(far)
  })

  test('a timer alone does not keep the process alive', { timeout: 20_000 }, async () => {
    const url = new URL('../../server/system-ports.ts', import.meta.url).href
    const program = `import { systemTimers } from '${url}'; systemTimers.set(() => {}, 3_600_000)`
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  })

  test('ends of one turn run in order, after continuations, in one immediate', async () => {
    const log: string[] = []
    await new Promise<void>((resolve) => {
      systemTimers.atEndOfTurn(() => {
        log.push('first')
        systemTimers.atEndOfTurn(() => {
          log.push('next turn')
          resolve()
        })
        void Promise.resolve().then(() => log.push('after the turn'))
      })
      systemTimers.atEndOfTurn(() => log.push('second'))
      void Promise.resolve().then(() => log.push('continuation'))
    })
    assert.deepEqual(log, ['continuation', 'first', 'second', 'after the turn', 'next turn'])
  })

  test('a callback that throws does not take the others along', { timeout: 20_000 }, async () => {
    const url = new URL('../../server/system-ports.ts', import.meta.url).href
    const program = `
      import { systemTimers } from '${url}'
      process.on('uncaughtException', (error) => console.log(error.message))
      systemTimers.atEndOfTurn(() => { throw new Error('thrown') })
      systemTimers.atEndOfTurn(() => {
        console.log('second')
        systemTimers.atEndOfTurn(() => console.log('third'))
        throw new Error('thrown again')
      })
      systemTimers.atEndOfTurn(() => console.log('last'))`
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--input-type=module',
      '-e',
      program
    ])
    assert.deepEqual(stdout.trim().split('\n'), [
      'thrown',
      'second',
      'thrown again',
      'last',
      'third'
    ])
  })
})

describe('system clock and random', () => {
  test('the monotonic clock does not go back, the wall clock is the time of day', () => {
    let lastMs = systemClock.monotonic()
    for (let i = 0; i < 1000; i++) {
      const nowMs = systemClock.monotonic()
      assert.ok(nowMs >= lastMs)
      lastMs = nowMs
    }
    assert.ok(Math.abs(systemClock.now() - Date.now()) < 1000)
  })

  test('bytes have the length asked for, do not repeat, and stay what they are', () => {
    const all = Array.from({ length: 2000 }, () => systemRandom.bytes(16))
    const seen = new Set(all.map((bytes) => Buffer.from(bytes).toString('hex')))
    assert.equal(seen.size, all.length)
    assert.equal(seen.size, new Set(all.map((bytes) => bytes.join())).size)
    for (const length of [0, 1, 4095, 4096, 4097, 100_000]) {
      assert.equal(systemRandom.bytes(length).length, length)
    }
    const kept = systemRandom.bytes(16)
    const copy = Uint8Array.from(kept)
    for (let i = 0; i < 1000; i++) systemRandom.bytes(16)
    assert.deepEqual(kept, copy)
  })

  test('fractions lie in [0, 1) and in every part of it', () => {
    const tenths = new Set<number>()
    for (let i = 0; i < 2000; i++) {
      const fraction = systemRandom.fraction()
      assert.ok(fraction >= 0 && fraction < 1)
      tenths.add(Math.floor(fraction * 10))
    }
    assert.equal(tenths.size, 10)
  })
})
