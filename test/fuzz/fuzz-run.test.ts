import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ByteReader } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { mutateBytes } from './byte-mutations.ts'
import { examine, fuzz, inputAt } from './fuzz-run.ts'
import { attempt, type FuzzTarget, mustHold } from './fuzz-target.ts'
import { shrink } from './shrink.ts'

const untimed = { timeMsMax: null }
const inputs = { seed: '1', from: 0, to: 3000 }

/** A decoder of a number and so many bytes, which are given to `use`. */
function targetWith(use: (count: number, content: Buffer) => void): FuzzTarget {
  const corpus = [Buffer.of(3, 1, 2, 3), Buffer.of(1, 0), Buffer.of(0)]
  const decode = (input: Buffer): void => {
    const reader = new ByteReader(input)
    const count = reader.varint()
    use(count, reader.bytes(reader.remaining))
  }
  return {
    name: 'planted',
    corpus,
    donors: corpus,
    mutate: mutateBytes,
    run: (input) => (attempt(() => decode(input), 'decode error').ok ? 'accepted' : 'refused')
  }
}

describe('a planted bug is found:', () => {
  test('an exception that is not documented', () => {
    const target = targetWith((count, content) => {
      if (count > content.length) content.readUInt8(count)
    })
    assert.match(
      fuzz(target, inputs, untimed).finding?.rule ?? '',
      /documented errors.*RangeError/s
    )
  })

  test('memory for as many as a count claims', () => {
    const target = targetWith((count, content) => {
      Buffer.alloc(Math.min(count, 2 ** 24))
      if (count !== content.length) throw new DecodeError('not as many as were announced')
    })
    assert.match(fuzz(target, inputs, untimed).finding?.rule ?? '', /allocated \d+ bytes/)
  })

  test('a second encoding of the same', () => {
    const target = targetWith((count, content) => mustHold(count === content.length, 'as many'))
    assert.equal(fuzz(target, inputs, untimed).finding?.rule, 'as many')
  })

  test('a refusal that repeats what it refuses', () => {
    const target = targetWith(() => {})
    const run = (input: Buffer) =>
      attempt(() => {
        const error = new DecodeError('')
        error.message = `not good: ${input.toString('hex')}`
        throw error
      }, 'decode error').ok
    const spelled = {
      ...target,
      run: (input: Buffer) => (run(input) ? 'accepted' : 'refused')
    } as const
    assert.match(fuzz(spelled, inputs, untimed).finding?.rule ?? '', /a refusal of \d+ characters/)
  })
})

test('a decoder without bugs breaks no rule, and both verdicts are met', () => {
  const target = targetWith((count, content) => {
    if (count !== content.length) throw new DecodeError('not as many as were announced')
  })
  const { tally, finding } = fuzz(target, inputs, untimed)
  assert.equal(finding, null)
  assert.ok(tally.accepted > 100 && tally.refused > 100)
  assert.equal(tally.inputs, 3000)
})

test('an input depends on the seed and its index, and on nothing that came before', () => {
  const target = targetWith(() => {})
  const all = Array.from({ length: 50 }, (_, index) => inputAt(target, '1', index).toString('hex'))
  assert.equal(inputAt(target, '1', 17).toString('hex'), all[17])
  assert.notDeepEqual(
    all,
    all.map((_, index) => inputAt(target, '2', index).toString('hex'))
  )
})

test('a failing input is shrunk to what makes it fail', () => {
  const input = Buffer.concat([Buffer.alloc(500, 1), Buffer.of(7, 9), Buffer.alloc(300, 2)])
  const target = targetWith((_, content) => mustHold(!content.includes(9), 'no nine'))
  const small = shrink(
    input,
    (candidate) => typeof examine(target, candidate, untimed) !== 'string'
  )
  assert.ok(small.length <= 2 && small.includes(9), small.toString('hex'))
})
