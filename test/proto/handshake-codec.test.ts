import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { encodeFrame, encodeLinkMessage } from '../../proto/frame-codec.ts'
import {
  decodeHandshake,
  encodeGreeting,
  encodeHandshake,
  type Greeting,
  type HandshakeStep
} from '../../proto/handshake-codec.ts'
import { lawRuns } from '../core/law-runs.ts'
import { mutate, mutations } from '../storage/mutated-bytes.ts'
import { comparable } from './bodies.ts'

const plain = { noNullPrototype: true } as const
const text = fc.string({ unit: 'binary' })
const bytes = fc.uint8Array({ maxLength: 40 })

const greetings: fc.Arbitrary<Greeting> = fc.record(
  {
    protocolVersion: fc.nat({ max: 2 ** 32 - 1 }),
    clusterName: text,
    partitions: fc.nat({ max: 65536 }),
    nodeId: text,
    release: text,
    nonce: bytes,
    process: bytes
  },
  plain
)

const steps: fc.Arbitrary<HandshakeStep> = fc.oneof(
  fc.record({ step: fc.constant('hello' as const), greeting: greetings }, plain),
  fc.record({ step: fc.constant('welcome' as const), greeting: greetings, proof: bytes }, plain),
  fc.record({ step: fc.constant('proof' as const), proof: bytes }, plain),
  fc.record({ step: fc.constant('accepted' as const) }, plain),
  fc.record({ step: fc.constant('refused' as const), code: text, detail: text }, plain)
)

describe('a handshake', () => {
  test('step comes back as it was sent', () => {
    fc.assert(
      fc.property(steps, (step) => {
        const decoded = decodeHandshake(encodeHandshake(step))
        assert.deepEqual(comparable(decoded), comparable(step))
      }),
      lawRuns(500)
    )
  })

  test('greetings that differ have different bytes, for the proofs to speak of', () => {
    fc.assert(
      fc.property(greetings, greetings, (a, b) => {
        const same = JSON.stringify(comparable(a)) === JSON.stringify(comparable(b))
        assert.equal(toHex(encodeGreeting(a)) === toHex(encodeGreeting(b)), same)
        const [again] = [decodeHandshake(encodeHandshake({ step: 'hello', greeting: a }))]
        assert.ok(again.step === 'hello')
        assert.equal(toHex(encodeGreeting(again.greeting)), toHex(encodeGreeting(a)))
      }),
      lawRuns(300)
    )
  })

  test('of spoilt or random bytes is refused with a DecodeError and nothing else', () => {
    const refuses = (message: Uint8Array): void => {
      try {
        decodeHandshake(message)
      } catch (thrown) {
        assert.ok(thrown instanceof DecodeError, `${toHex(message)}: ${thrown}`)
      }
    }
    fc.assert(
      fc.property(steps, mutations, fc.uint8Array({ maxLength: 60 }), (step, spoil, random) => {
        refuses(mutate(encodeHandshake(step), spoil))
        refuses(random)
      }),
      lawRuns(3000)
    )
  })

  test('is not what a message of frames is', () => {
    const frame = encodeFrame({
      id: 1,
      epoch: 'e',
      body: { kind: 'acknowledged', quarantined: new Uint8Array() }
    })
    assert.throws(() => decodeHandshake(encodeLinkMessage([frame])), DecodeError)
    assert.throws(() => decodeHandshake(Buffer.alloc(0)), DecodeError)
  })
})
