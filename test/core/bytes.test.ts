import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter, compareBytes, equalBytes, toHex } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { lawRuns } from './law-runs.ts'

const bytes = (maxLength = 40) => fc.uint8Array({ maxLength })
const safeIntegers = fc.oneof(
  fc.maxSafeNat(),
  fc.nat({ max: 300 }),
  fc.nat({ max: 53 }).map((bits) => Math.min(2 ** bits, Number.MAX_SAFE_INTEGER)),
  fc.nat({ max: 53 }).map((bits) => 2 ** bits - 1)
)

/** Base 128, least significant group first, worked out with big integers. */
function varintByHand(value: number): number[] {
  const groups: number[] = []
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return [...groups, Number(rest)]
    groups.push(Number(rest & 127n) | 128)
  }
}

describe('varint', () => {
  test('every number up to 2^53 - 1 is written in base 128 and read back', () => {
    fc.assert(
      fc.property(safeIntegers, (value) => {
        const written = new ByteWriter(1).varint(value).finish()
        assert.deepEqual([...written], varintByHand(value))
        const reader = new ByteReader(written)
        assert.equal(reader.varint(), value)
        reader.finish()
      }),
      lawRuns(2000)
    )
  })

  test('a number above 2^53 - 1 is refused', () => {
    for (const value of [2n ** 53n, 2n ** 53n + 1n, 2n ** 55n, 2n ** 56n - 1n]) {
      const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(7 * i)) & 127n))
      const encoded = Uint8Array.from(groups, (group, i) => (i < 7 ? group | 128 : group))
      assert.throws(() => new ByteReader(encoded).varint(), DecodeError, `${value}`)
    }
  })

  test('a number that goes on for ever is refused', () => {
    assert.throws(() => new ByteReader(Buffer.alloc(64, 0xff)).varint(), DecodeError)
  })

  test('one number has one encoding', () => {
    for (const padded of [Buffer.of(0x80, 0x00), Buffer.of(0xff, 0x80, 0x00)]) {
      assert.throws(() => new ByteReader(padded).varint(), DecodeError, toHex(padded))
    }
  })
})

/** One thing that can be written, with how it is read back. */
type Piece =
  | readonly ['uint8' | 'uint32' | 'uint48' | 'varint', number]
  | readonly ['bytes' | 'lengthPrefixed', Uint8Array]
  | readonly ['latin1' | 'string', string]

const latin1 = fc.string({ unit: 'binary-ascii', maxLength: 30 })
const pieces: fc.Arbitrary<Piece> = fc.oneof(
  fc.tuple(fc.constant('uint8' as const), fc.nat({ max: 255 })),
  fc.tuple(fc.constant('uint32' as const), fc.nat({ max: 2 ** 32 - 1 })),
  fc.tuple(fc.constant('uint48' as const), fc.nat({ max: 2 ** 48 - 1 })),
  fc.tuple(fc.constant('varint' as const), safeIntegers),
  fc.tuple(fc.constant('bytes' as const), bytes(400)),
  fc.tuple(fc.constant('lengthPrefixed' as const), bytes(400)),
  fc.tuple(fc.constant('latin1' as const), latin1),
  fc.tuple(fc.constant('string' as const), fc.string({ unit: 'grapheme' }))
)

function write(writer: ByteWriter, piece: Piece): void {
  switch (piece[0]) {
    case 'bytes':
    case 'lengthPrefixed':
      writer[piece[0]](piece[1])
      return
    case 'latin1':
    case 'string':
      writer[piece[0]](piece[1])
      return
    default:
      writer[piece[0]](piece[1])
  }
}

function read(reader: ByteReader, [kind, value]: Piece): number | string | Uint8Array {
  if (kind === 'bytes') return Uint8Array.from(reader.bytes(value.length))
  if (kind === 'latin1') return reader.latin1(value.length)
  const result = reader[kind]()
  return typeof result === 'object' ? Uint8Array.from(result) : result
}

describe('writer and reader', () => {
  test('what was written comes back, whatever the first capacity was', () => {
    fc.assert(
      fc.property(fc.array(pieces), fc.nat({ max: 300 }), (written, capacity) => {
        const writer = new ByteWriter(capacity)
        for (const piece of written) write(writer, piece)
        const reader = new ByteReader(writer.finish())
        assert.equal(reader.remaining, writer.length)
        for (const piece of written) assert.deepEqual(read(reader, piece), piece[1])
        reader.finish()
      }),
      lawRuns(500)
    )
  })

  test('bytes that end early are refused wherever they end, and nothing beyond the end is read', () => {
    fc.assert(
      fc.property(fc.array(pieces, { minLength: 1, maxLength: 6 }), (written) => {
        const writer = new ByteWriter()
        for (const piece of written) write(writer, piece)
        const whole = writer.finish()
        for (let end = 0; end < whole.length; end++) {
          // The rest of the message is still there in memory, as it is when a field of a frame is read.
          const reader = new ByteReader(whole, 0, end)
          assert.throws(() => {
            for (const piece of written) read(reader, piece)
          }, DecodeError)
        }
      }),
      lawRuns(150)
    )
  })

  test('trailing bytes are refused', () => {
    const reader = new ByteReader(Buffer.of(1, 2))
    reader.uint8()
    assert.throws(() => reader.finish(), DecodeError)
  })

  test('a string that is not UTF-8 is refused', () => {
    const reader = new ByteReader(Buffer.of(2, 0xc3, 0x28))
    assert.throws(() => reader.string(), DecodeError)
  })
})

test('the order of bytes is that of 48-bit numbers written in them', () => {
  const numbers = fc.nat({ max: 2 ** 48 - 1 })
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      const [left, right] = [a, b].map((n) => new ByteWriter().uint48(n).finish())
      assert.ok(left !== undefined && right !== undefined)
      assert.equal(Math.sign(compareBytes(left, right)), Math.sign(a - b))
      assert.equal(equalBytes(left, right), a === b)
    }),
    lawRuns(300)
  )
})
