import fc from 'fast-check'

/** One way to spoil bytes. Positions are taken modulo the length. */
type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly byte: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'remove' | 'double'; readonly at: number; readonly length: number }
  | { readonly kind: 'truncate'; readonly at: number }

const at = fc.nat()
const length = fc.integer({ min: 1, max: 24 })

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at, bit: fc.nat({ max: 7 }) }),
  fc.record({
    kind: fc.constant('set' as const),
    at,
    byte: fc.oneof(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), fc.nat({ max: 255 }))
  }),
  fc.record({ kind: fc.constant('insert' as const), at, bytes: fc.uint8Array({ maxLength: 9 }) }),
  fc.record({ kind: fc.constantFrom('remove' as const, 'double' as const), at, length }),
  fc.record({ kind: fc.constant('truncate' as const), at })
)

export const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(mutation, {
  minLength: 1,
  maxLength: 3
})

/** The bytes after all of the mutations; now and then they are the same as before. */
export function mutate(bytes: Uint8Array, all: readonly Mutation[]): Buffer {
  return all.reduce<Buffer>((spoilt, one) => mutateOnce(spoilt, one), Buffer.from(bytes))
}

function mutateOnce(bytes: Buffer, one: Mutation): Buffer {
  const place = bytes.length === 0 ? 0 : one.at % bytes.length
  const before = bytes.subarray(0, place)
  switch (one.kind) {
    case 'flip':
    case 'set': {
      if (bytes.length === 0) return bytes
      const old = bytes.readUInt8(place)
      const byte = one.kind === 'flip' ? old ^ (1 << one.bit) : one.byte
      return Buffer.concat([before, Buffer.of(byte), bytes.subarray(place + 1)])
    }
    case 'insert':
      return Buffer.concat([before, one.bytes, bytes.subarray(place)])
    case 'remove':
      return Buffer.concat([before, bytes.subarray(place + one.length)])
    case 'double':
      return Buffer.concat([
        before,
        bytes.subarray(place, place + one.length),
        bytes.subarray(place)
      ])
    case 'truncate':
      return before
  }
}
