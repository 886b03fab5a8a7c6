import { ByteWriter } from '../core/bytes.ts'
import { hash64 } from '../core/hash.ts'

/** Bytes of a token: 64 bits, of which the top ones choose the partition and the next ones the leaf of its tree. */
export const tokenBytes = 8

/** Partition numbers and leaf numbers are at most 16 bits each, so that both come out of the first 32 bits. */
export const partitionsMax = 65536
export const leavesMax = 65536

// Hashing one short run of bytes costs about half of hashing four pieces, and nearly all keys are short. The scratch
// space is never seen by anyone else: it is filled and hashed within one call.
const scratch = new Uint8Array(512)
const scratchHeadroom = 8

/**
 * The place of a key on the ring: the first 64 bits of BLAKE3 over bucket and key, each preceded by its length as a
 * varint, so that no two pairs of bucket and key are the same bytes (Karger et al. 1997, with a modern hash).
 */
export function tokenOf(bucket: Uint8Array, key: Uint8Array): Uint8Array {
  if (bucket.length + key.length > scratch.length - scratchHeadroom) return tokenOfLong(bucket, key)
  let end = putShortLength(0, bucket.length)
  scratch.set(bucket, end)
  end = putShortLength(end + bucket.length, key.length)
  scratch.set(key, end)
  return hash64(scratch.subarray(0, end + key.length))
}

/** The partition that a token falls into: its top bits. `partitionCount` is a power of two up to 65536. */
export function partitionOf(token: Uint8Array, partitionCount: number): number {
  // Two shifts, because a single one by all 32 bits, which one partition asks for, would shift by none.
  return (firstBits(token) >>> Math.clz32(partitionCount)) >>> 1
}

/**
 * The leaf within the partition: the bits after those that chose the partition. Both counts are powers of two up to
 * 65536.
 */
export function leafOf(token: Uint8Array, partitionCount: number, leafCount: number): number {
  const leafBits = 31 - Math.clz32(leafCount)
  const shift = Math.clz32(partitionCount) + 1 - leafBits
  return (firstBits(token) >>> shift) & (leafCount - 1)
}

function firstBits(token: Uint8Array): number {
  const high = ((token[0] ?? 0) << 8) | (token[1] ?? 0)
  const low = ((token[2] ?? 0) << 8) | (token[3] ?? 0)
  return ((high << 16) | low) >>> 0
}

/** Writes a varint below 2^14 into the scratch space and says where it ends. */
function putShortLength(at: number, length: number): number {
  if (length < 0x80) {
    scratch[at] = length
    return at + 1
  }
  scratch[at] = (length & 0x7f) | 0x80
  scratch[at + 1] = length >>> 7
  return at + 2
}

function tokenOfLong(bucket: Uint8Array, key: Uint8Array): Uint8Array {
  return hash64(lengthPrefix(bucket), bucket, lengthPrefix(key), key)
}

function lengthPrefix(bytes: Uint8Array): Uint8Array {
  return new ByteWriter(scratchHeadroom).varint(bytes.length).finish()
}
