import { assert } from '../core/assert.ts'
import { ByteReader, ByteWriter, equalBytes } from '../core/bytes.ts'
import { AnnealError, DecodeError } from '../core/errors.ts'
import { digestBytes, type Hasher } from '../core/hash.ts'
import { contextEntriesMax } from '../core/limits.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { decodeVector, encodeVector, type VersionVector } from '../storage/version-vector.ts'

/** What a client has seen of a key. */
export interface CausalContext {
  readonly vector: VersionVector
  /** The latest time among it, so that what is written next is later. */
  readonly timeMs: number
}

const format = 1
export const tokenCharactersMax = 32 * 1024

// An actor and its counter, in base64, and some room for what is around them.
const entryCharactersMax = (21 * 4) / 3
assert(
  contextEntriesMax * 2 * entryCharactersMax + 256 <= tokenCharactersMax,
  'a token carries every context that a value is written with'
)

/**
 * Contexts as clients carry them: base64url of format | time | vector | 16 bytes keyed digest over bucket, key and
 * these. A context that a client could make up, or take from another key, would delete writes that nobody has seen.
 */
export function encodeContext(hasher: Hasher, key: ObjectKey, context: CausalContext): string {
  const writer = new ByteWriter(64 + context.vector.size * 20)
  writer.uint8(format).varint(context.timeMs)
  encodeVector(writer, context.vector)
  const mac = authenticate(hasher, key, writer.finish())
  return writer.bytes(mac).finish().toString('base64url')
}

/** Errors: `bad_context` for a token that was altered, belongs to another key, or is none. */
export function decodeContext(hasher: Hasher, key: ObjectKey, token: string): CausalContext {
  if (token.length > tokenCharactersMax)
    throw refuse('it is longer than any that this cluster gives out')
  const bytes = Buffer.from(token, 'base64url')
  if (bytes.length <= digestBytes || bytes.toString('base64url') !== token) {
    throw refuse('it is not base64url of a context')
  }
  const content = bytes.subarray(0, -digestBytes)
  if (!equalBytes(authenticate(hasher, key, content), bytes.subarray(-digestBytes))) {
    throw refuse('it was altered, belongs to another key, or comes from another cluster')
  }
  try {
    const reader = new ByteReader(content)
    const found = reader.uint8()
    if (found !== format) throw new DecodeError(`format ${found}`)
    const timeMs = reader.varint()
    const vector = decodeVector(reader)
    reader.finish()
    return { vector, timeMs }
  } catch (thrown) {
    if (thrown instanceof DecodeError)
      throw refuse(`it is of a form that is not known here (${thrown.message})`)
    throw thrown
  }
}

function authenticate(hasher: Hasher, key: ObjectKey, content: Uint8Array): Uint8Array {
  const head = Buffer.allocUnsafe(8)
  head.writeUInt32BE(key.bucket.length, 0)
  head.writeUInt32BE(key.key.length, 4)
  return hasher(head, key.bucket, key.key, content)
}

function refuse(why: string): AnnealError {
  return new AnnealError(
    'bad_context',
    `the Causal-Context cannot be used: ${why}. Read the key again and use the Causal-Context of that answer`
  )
}
