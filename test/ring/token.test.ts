import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ByteWriter, toHex } from '../../core/bytes.ts'
import { hash64 } from '../../core/hash.ts'
import { leafOf, partitionOf, tokenBytes, tokenOf } from '../../ring/token.ts'

const names = fc.uint8Array({ maxLength: 700 })
const tokens = fc.uint8Array({ minLength: tokenBytes, maxLength: tokenBytes })
const powers = fc.integer({ min: 0, max: 16 }).map((exponent) => 2 ** exponent)

describe('token', () => {
  it('is the hash of bucket and key with their lengths, for short and for long names', () => {
    fc.assert(
      fc.property(names, names, (bucket, key) => {
        const bytes = new ByteWriter().lengthPrefixed(bucket).lengthPrefixed(key).finish()
        assert.equal(toHex(tokenOf(bucket, key)), toHex(hash64(bytes)))
      })
    )
  })

  it('stays the same from release to release, since rows are filed under it', () => {
    assert.equal(toHex(tokenOf(Buffer.from('users'), Buffer.from('alice'))), '7f6fe18a6a1c52bb')
  })

  it('tells pairs apart whose bytes run together to the same', () => {
    const token = (bucket: string, key: string): string =>
      toHex(tokenOf(Buffer.from(bucket), Buffer.from(key)))
    assert.notEqual(token('ab', 'c'), token('a', 'bc'))
    assert.notEqual(token('ab', ''), token('', 'ab'))
  })

  it('is not changed by the next one being computed', () => {
    const first = tokenOf(Buffer.from('a'), Buffer.from('1'))
    const before = toHex(first)
    tokenOf(Buffer.from('b'), Buffer.from('2'))
    assert.equal(toHex(first), before)
  })

  it('gives its top bits to the partition and the next ones to the leaf', () => {
    fc.assert(
      fc.property(tokens, powers, powers, (token, partitions, leaves) => {
        const bits = BigInt(`0x${toHex(token)}`)
        const partitionBits = BigInt(Math.log2(partitions))
        const leafBits = BigInt(Math.log2(leaves))
        assert.equal(partitionOf(token, partitions), Number(bits >> (64n - partitionBits)))
        const leaf = (bits >> (64n - partitionBits - leafBits)) % BigInt(leaves)
        assert.equal(leafOf(token, partitions, leaves), Number(leaf))
      })
    )
  })
})
