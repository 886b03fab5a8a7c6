import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blake3 } from '@noble/hashes/blake3.js'
import fc from 'fast-check'
import { toHex } from '../../core/bytes.ts'
import { checksum64, createHasher, digestBytes, hash64, hash128 } from '../../core/hash.ts'
import { lawRuns } from './law-runs.ts'

// Around 1024 bytes BLAKE3 goes from one chunk to a tree of them.
const content = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.integer({ min: 1000, max: 5000 }).map((length) => new Uint8Array(length).fill(length))
)
const parts = fc.array(content, { maxLength: 4 })

test('the digest of parts is BLAKE3 of their concatenation', () => {
  fc.assert(
    fc.property(parts, (given) => {
      const whole = Buffer.concat(given)
      assert.equal(toHex(hash128(...given)), toHex(blake3(whole, { dkLen: digestBytes })))
      assert.equal(toHex(hash64(...given)), toHex(blake3(whole, { dkLen: 8 })))
    }),
    lawRuns(200)
  )
})

test('a keyed digest is keyed BLAKE3', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constantFrom(8, 16, 32),
      parts,
      async (key, length, given) => {
        const hasher = await createHasher(length, key)
        const expected = blake3(Buffer.concat(given), { dkLen: length, key })
        assert.equal(toHex(hasher(...given)), toHex(expected))
      }
    ),
    lawRuns(100)
  )
})

test('a digest stays what it was when the next one is computed', () => {
  const first = hash128(Buffer.from('one'))
  const before = toHex(first)
  hash128(Buffer.from('two'))
  assert.equal(toHex(first), before)
})

test('a checksum is XXH3', () => {
  assert.equal(toHex(checksum64()), '2d06800538d394c2')
  assert.equal(toHex(checksum64(Buffer.from('a'), Buffer.from('bc'))), '78af5f94892f3950')
})
