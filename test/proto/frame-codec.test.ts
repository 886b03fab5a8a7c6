import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, equals, fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { ByteWriter, toHex } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import {
  bodyField,
  decodeLinkMessage,
  encodeFrame,
  encodeLinkMessage
} from '../../proto/frame-codec.ts'
import type { Frame } from '../../proto/frames.ts'
import { FrameSchema, LinkMessageSchema } from '../../proto/gen/anneal/peer/v1/peer_pb.ts'
import { lawRuns } from '../core/law-runs.ts'
import { mutate, mutations } from '../storage/mutated-bytes.ts'
import { coldBodies, comparable, framesOf, hotBodies, toGenerated } from './bodies.ts'

const hotFrames = framesOf(hotBodies)
const anyFrames = framesOf(fc.oneof(hotBodies, coldBodies))

/** A message of one frame, which may be any bytes. */
function messageOf(frame: Uint8Array): Buffer {
  return new ByteWriter()
    .varint(1 * 8 + 2)
    .lengthPrefixed(frame)
    .finish()
}

function bytesOf(frame: Frame): Buffer {
  const encoded = encodeFrame(frame)
  const message = encodeLinkMessage([encoded])
  return message.subarray(message.length - encoded.bytes)
}

function decodeOne(frame: Uint8Array): Frame {
  const [decoded, ...others] = decodeLinkMessage(messageOf(frame))
  assert.ok(decoded !== undefined)
  assert.deepEqual(others, [])
  return decoded
}

describe('a frame written by hand', () => {
  test('is byte for byte what the generated code writes, alone and among others', () => {
    fc.assert(
      fc.property(fc.array(hotFrames, { maxLength: 4 }), (frames) => {
        const generated = create(LinkMessageSchema, { frames: frames.map(toGenerated) })
        const message = encodeLinkMessage(frames.map(encodeFrame))
        assert.equal(toHex(message), toHex(toBinary(LinkMessageSchema, generated)))
      }),
      lawRuns(1000)
    )
  })

  test('takes as many bytes as it says, and shares those of its body with frames of the same body', () => {
    fc.assert(
      fc.property(hotFrames, fc.nat(), (frame, id) => {
        const other = { ...frame, id, epoch: `${frame.epoch}+` }
        const [one, two] = [encodeFrame(frame), encodeFrame(other)]
        assert.equal(one.body, two.body)
        assert.equal(encodeLinkMessage([one]).length, messageOf(new Uint8Array(one.bytes)).length)
        assert.equal(encodeLinkMessage([two]).length, messageOf(new Uint8Array(two.bytes)).length)
        assert.deepEqual(comparable(decodeOne(bytesOf(other))), comparable(other))
      }),
      lawRuns(500)
    )
  })

  test('is read by the generated code as what was meant', () => {
    fc.assert(
      fc.property(hotFrames, (frame) => {
        const read = fromBinary(FrameSchema, bytesOf(frame))
        assert.ok(equals(FrameSchema, read, create(FrameSchema, toGenerated(frame))))
      }),
      lawRuns(500)
    )
  })

  test('a frame of the generated code is read by hand as what was meant', () => {
    fc.assert(
      fc.property(hotFrames, (frame) => {
        const generated = toBinary(FrameSchema, create(FrameSchema, toGenerated(frame)))
        assert.deepEqual(comparable(decodeOne(generated)), comparable(frame))
      }),
      lawRuns(500)
    )
  })

  test('the number of each body is that of the schema', () => {
    const oneof = FrameSchema.oneofs.find(({ name }) => name === 'body')
    const numbers = Object.fromEntries(
      (oneof?.fields ?? []).map(({ localName, number }) => [localName, number])
    )
    assert.deepEqual(numbers, { ...bodyField })
  })
})

test('frames of all kinds come back, in their order, however many share a message', () => {
  fc.assert(
    fc.property(fc.array(anyFrames, { maxLength: 6 }), (frames) => {
      const message = encodeLinkMessage(frames.map(encodeFrame))
      assert.deepEqual(comparable(decodeLinkMessage(message)), comparable(frames))
      assert.equal(fromBinary(LinkMessageSchema, message).frames.length, frames.length)
    }),
    lawRuns(300)
  )
})

describe('fields that are not known here', () => {
  // One of each wire type, and numbers as large as a schema may ever use.
  const unknown = fc.oneof(
    fc.constantFrom(0n, 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n).map(varintField),
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map((value) => rawField(1, value)),
    fc
      .uint8Array({ maxLength: 200 })
      .map((value) =>
        Buffer.concat([tag(2), new ByteWriter().varint(value.length).bytes(value).finish()])
      ),
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map((value) => rawField(5, value))
  )

  test('are read over in a frame and in a message', () => {
    fc.assert(
      fc.property(anyFrames, unknown, unknown, fc.boolean(), (frame, inner, outer, first) => {
        const parts = [bytesOf(frame), inner]
        const spliced = Buffer.concat(first ? parts.reverse() : parts)
        const message = messageOf(spliced)
        for (const all of [Buffer.concat([message, outer]), Buffer.concat([outer, message])]) {
          assert.deepEqual(comparable(decodeLinkMessage(all)), comparable([frame]))
        }
      }),
      lawRuns(500)
    )
  })

  test('are read over in a body', () => {
    fc.assert(
      fc.property(hotFrames, unknown, (frame, field) => {
        const { id, epoch } = frame
        const body = bodyBytes(frame)
        const extended = new ByteWriter()
          .varint(8)
          .varint(id)
          .varint(18)
          .string(epoch)
          .varint(bodyField[frame.body.kind] * 8 + 2)
          .lengthPrefixed(Buffer.concat([body, field]))
        assert.deepEqual(comparable(decodeOne(extended.finish())), comparable(frame))
      }),
      lawRuns(500)
    )
  })

  function varintField(value: bigint): Buffer {
    const groups: number[] = []
    for (let rest = value; ; rest >>= 7n) {
      if (rest < 128n) return Buffer.concat([tag(0), Buffer.of(...groups, Number(rest))])
      groups.push(Number(rest & 127n) | 128)
    }
  }

  function rawField(type: number, value: Uint8Array): Buffer {
    return Buffer.concat([tag(type), value])
  }

  function tag(type: number): Buffer {
    return new ByteWriter().varint(1000 * 8 + type).finish()
  }

  /** The bytes of the frame's body alone. */
  function bodyBytes(frame: Frame): Buffer {
    const empty = new ByteWriter()
    if (frame.id !== 0) empty.varint(8).varint(frame.id)
    if (frame.epoch !== '') empty.varint(18).string(frame.epoch)
    const encoded = bytesOf(frame).subarray(empty.length)
    // What is left is the tag, the length and the body; the length says how much of it is the body.
    for (let prefix = 2; prefix < 12; prefix++) {
      const length = encoded.length - prefix
      const head = new ByteWriter().varint(bodyField[frame.body.kind] * 8 + 2).varint(length)
      if (head.length === prefix && head.finish().equals(encoded.subarray(0, prefix))) {
        return encoded.subarray(prefix)
      }
    }
    return assert.fail('a frame without a body')
  }
})

describe('bytes that are no message', () => {
  const decodesOrRefuses = (message: Uint8Array): void => {
    try {
      decodeLinkMessage(message)
    } catch (thrown) {
      assert.ok(thrown instanceof DecodeError, `${toHex(message)}: ${thrown}`)
    }
  }

  test('are refused with a DecodeError and nothing else, if spoilt', () => {
    fc.assert(
      fc.property(anyFrames, mutations, (frame, spoil) => {
        decodesOrRefuses(mutate(encodeLinkMessage([encodeFrame(frame)]), spoil))
        decodesOrRefuses(messageOf(mutate(bytesOf(frame), spoil)))
      }),
      lawRuns(3000)
    )
  })

  test('are refused with a DecodeError and nothing else, if random', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat({ max: 31 }), (random, field) => {
        decodesOrRefuses(random)
        const body = new ByteWriter()
          .varint(field * 8 + 2)
          .lengthPrefixed(random)
          .finish()
        decodesOrRefuses(messageOf(body))
      }),
      lawRuns(3000)
    )
  })

  test('a frame without a body that is known here is refused', () => {
    const empty = toBinary(FrameSchema, create(FrameSchema, { id: 7n }))
    assert.throws(() => decodeOne(empty), DecodeError)
  })

  test('text that is not UTF-8 is refused, as the generated code refuses it', () => {
    const valid = bytesOf({
      id: 1,
      epoch: '',
      body: { kind: 'acknowledged', quarantined: new Uint8Array() }
    })
    const frame = Buffer.concat([valid, Buffer.of(18, 2, 0xc3, 0x28)])
    assert.throws(() => fromBinary(FrameSchema, frame))
    assert.throws(() => decodeOne(frame), DecodeError)
  })

  test('a code of failure that is not known here is an internal error', () => {
    const value = { code: 'from_the_future', message: 'what' }
    const frame = create(FrameSchema, { body: { case: 'failure', value } })
    const { body } = decodeOne(toBinary(FrameSchema, frame))
    assert.deepEqual(body, { kind: 'failure', code: 'internal', message: 'what', details: '' })
    for (const code of ['__proto__', 'constructor', 'toString']) {
      const tricky = create(FrameSchema, { body: { case: 'failure', value: { code } } })
      const decoded = decodeOne(toBinary(FrameSchema, tricky)).body
      assert.equal(decoded.kind === 'failure' ? decoded.code : '', 'internal')
    }
  })
})
