import { ByteWriter } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import { decodeObject, encodeObject, type ObjectForm } from '../../storage/object-codec.ts'
import type { Version, Versions } from '../../storage/version.ts'
import type { SeededRandom } from '../sim/seeded-random.ts'
import { mutateBytes } from './byte-mutations.ts'
import type { Mutator } from './fuzz-target.ts'

const format = 1

function versionsOf(bytes: Buffer): Versions {
  try {
    return decodeObject(bytes)
  } catch (thrown) {
    if (thrown instanceof DecodeError) return []
    throw thrown
  }
}

/** One version as it stands within an object: without the format and the count, a byte each, before it. */
function segmentOf(random: SeededRandom, version: Version): Buffer {
  const isWhole = version.tombstone || version.value !== null
  const form: ObjectForm = isWhole && random.chance(0.5) ? 'whole' : 'row'
  return encodeObject([version], form).subarray(2)
}

const bytesOnly = 0.5
const countIsRight = 0.9

/**
 * Changes an object version by version: they come twice, change places, go missing, are taken from another object, or
 * stand there in the other form. Half of the time the bytes as such.
 */
export const mutateObject: Mutator = (random, input, donor) => {
  const versions = versionsOf(input)
  const others = versionsOf(donor)
  const pool = [...versions, ...others]
  if (pool.length === 0 || random.chance(bytesOnly)) return mutateBytes(random, input, donor)
  const chosen = [...versions]
  for (let i = 1 + random.int(2); i > 0; i--) {
    const at = random.int(chosen.length + 1)
    chosen.splice(at, random.int(2), ...(random.chance(0.7) ? [random.pick(pool)] : []))
  }
  const segments = chosen.map((version) => segmentOf(random, version))
  const spoiltAt = random.int(2 * segments.length + 1)
  const spoilt = segments[spoiltAt]
  if (spoilt !== undefined) segments[spoiltAt] = mutateBytes(random, spoilt, donor)
  const count = random.chance(countIsRight) ? segments.length : random.int(segments.length + 3)
  const writer = new ByteWriter().uint8(format).varint(count)
  for (const segment of segments) writer.bytes(segment)
  return writer.finish()
}
