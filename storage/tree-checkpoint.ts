import { ByteReader, ByteWriter, equalBytes } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { digestBytes, type Hasher } from '../core/hash.ts'
import { leavesPerPartition } from '../core/limits.ts'
import { LeafSums, leafBytes } from './leaf-sums.ts'

const format = 1

/**
 * A partition's leaves as they are written down: format | fingerprint of the key 16 | leaf count 4 | leaves. Sums under
 * another key, after the secret was changed, would be equal to nobody's.
 */
export function encodeCheckpoint(hasher: Hasher, leaves: Uint8Array): Buffer {
  const writer = new ByteWriter(32 + leaves.length)
  writer.uint8(format).bytes(fingerprintOf(hasher)).uint32(leavesPerPartition).bytes(leaves)
  return writer.finish()
}

/** Errors: DecodeError where the leaves were not written by this version under this key. */
export function decodeCheckpoint(hasher: Hasher, content: Uint8Array): LeafSums {
  const reader = new ByteReader(content)
  const found = reader.uint8()
  if (found !== format) {
    throw new DecodeError(`checkpoint format ${found}, where ${format} is known`)
  }
  if (!equalBytes(reader.bytes(digestBytes), fingerprintOf(hasher))) {
    throw new DecodeError('a checkpoint under another key')
  }
  const leafCount = reader.uint32()
  if (leafCount !== leavesPerPartition) throw new DecodeError(`a checkpoint of ${leafCount} leaves`)
  const leaves = reader.bytes(leafCount * leafBytes)
  reader.finish()
  return LeafSums.fromBytes(leaves, leafCount)
}

function fingerprintOf(hasher: Hasher): Uint8Array {
  return hasher(Buffer.from('the key of the hash trees'))
}
