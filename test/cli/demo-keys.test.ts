import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { type KeyWish, readKeys, wishOf } from '../../server/cli/demo-keys.ts'

class FakeInput extends EventEmitter {
  isRaw = false
  isRead = false

  setRawMode(isRaw: boolean): void {
    this.isRaw = isRaw
  }

  resume(): this {
    this.isRead = true
    return this
  }

  pause(): this {
    this.isRead = false
    return this
  }

  press(keys: string): void {
    this.emit('data', Buffer.from(keys))
  }
}

test('keys ask for commands, in any case; others mean nothing', () => {
  const command = (key: string): unknown => {
    const wish = wishOf(key)
    return wish?.kind === 'command' ? wish.command.kind : wish?.kind
  }
  assert.deepEqual(
    ['k', 'R', 'd', 'p', '?', 'q', '\u0003', '\u0004', 'x', '\n', '\u001b'].map(command),
    [
      'kill',
      'revive',
      'diverge',
      'repair',
      'help',
      'stop',
      'stop',
      'stop',
      ...Array(3).fill(undefined)
    ]
  )
})

test('keys are read one by one, and the terminal is given back', () => {
  const input = new FakeInput()
  const wishes: KeyWish['kind'][] = []
  const giveBack = readKeys(input, ({ kind }) => wishes.push(kind))
  assert.deepEqual([input.isRaw, input.isRead], [true, true])
  input.press('k')
  input.press('z?\u0003')
  assert.deepEqual(wishes, ['command', 'help', 'stop'])
  giveBack()
  assert.deepEqual([input.isRaw, input.isRead], [false, false])
  input.press('k')
  assert.equal(wishes.length, 3)
})
