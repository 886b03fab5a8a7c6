import { ByteReader, ByteWriter } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import type { SeededRandom } from '../sim/seeded-random.ts'
import { interestingVarints, mutateBytes } from './byte-mutations.ts'
import type { Mutator } from './fuzz-target.ts'

/** A field of a protobuf message: its tag, and what follows without a length. */
interface Field {
  readonly tag: number
  readonly content: Buffer
}

const lengthDelimitedType = 2
const fixedBytes = new Map([
  [1, 8],
  [5, 4]
])

/** The fields of a message of any kind, or null where the bytes are none. */
function fieldsOf(bytes: Buffer): readonly Field[] | null {
  const reader = new ByteReader(bytes)
  const fields: Field[] = []
  try {
    while (reader.remaining > 0) {
      const tag = reader.varint()
      if (tag < 8) return null
      fields.push({ tag, content: contentOf(reader, bytes, tag & 7) })
    }
  } catch (thrown) {
    if (thrown instanceof DecodeError) return null
    throw thrown
  }
  return fields
}

function contentOf(reader: ByteReader, bytes: Buffer, type: number): Buffer {
  if (type === lengthDelimitedType) return reader.lengthPrefixed()
  const fixed = fixedBytes.get(type)
  if (fixed !== undefined) return reader.bytes(fixed)
  const from = reader.offset
  reader.varint()
  return bytes.subarray(from, reader.offset)
}

function bytesOf(fields: readonly Field[]): Buffer {
  const writer = new ByteWriter()
  for (const { tag, content } of fields) {
    writer.varint(tag)
    if ((tag & 7) === lengthDelimitedType) writer.varint(content.length)
    writer.bytes(content)
  }
  return writer.finish()
}

type FieldMutator = (random: SeededRandom, fields: Field[], others: readonly Field[]) => void

/** Field numbers that the schema uses, and some that nobody does. */
const fieldNumberMax = 34

const changes: readonly FieldMutator[] = [
  function repeat(random, fields) {
    fields.splice(random.int(fields.length + 1), 0, random.pick(fields))
  },
  function repeatOften(random, fields) {
    const repeated = random.pick(fields)
    for (let i = random.int(40); i > 0; i--) fields.push(repeated)
  },
  function swap(random, fields) {
    const [moved] = fields.splice(random.int(fields.length), 1)
    if (moved !== undefined) fields.splice(random.int(fields.length + 1), 0, moved)
  },
  function drop(random, fields) {
    fields.splice(random.int(fields.length), 1)
  },
  function take(random, fields, others) {
    if (others.length > 0) fields.splice(random.int(fields.length + 1), 0, random.pick(others))
  },
  function renumber(random, fields) {
    const at = random.int(fields.length)
    const field = fields[at]
    if (field === undefined) return
    const tag = (1 + random.int(fieldNumberMax)) * 8 + (field.tag & 7)
    fields[at] = { ...field, tag }
  },
  function retype(random, fields) {
    const at = random.int(fields.length)
    const field = fields[at]
    if (field !== undefined)
      fields[at] = { ...field, tag: field.tag - (field.tag & 7) + random.int(8) }
  },
  function setNumber(random, fields) {
    const numbers = fields.flatMap(({ tag }, at) => ((tag & 7) === 0 ? [at] : []))
    if (numbers.length === 0) return
    const at = random.pick(numbers)
    const field = fields[at]
    if (field !== undefined) fields[at] = { ...field, content: random.pick(interestingVarints) }
  },
  function replaceContent(random, fields) {
    const at = random.int(fields.length)
    const field = fields[at]
    if (field === undefined || (field.tag & 7) !== lengthDelimitedType) return
    const content = random.chance(0.1) ? grow(random, field.content) : random.pick(contents)
    fields[at] = { ...field, content }
  }
]

const contents: readonly Buffer[] = ['', '__proto__', 'constructor', '0', '007', '-1', '1e3', '\0']
  .map((text) => Buffer.from(text))
  .concat([Buffer.of(0xff), Buffer.alloc(16)])

const changeHere = 0.4
const grownBytes = 5000

/** Lengths that nothing has in reason, at a place where the field still fits its message. */
function grow(random: SeededRandom, content: Buffer): Buffer {
  const filler = content.length === 0 ? Buffer.of(random.int(256)) : content
  return Buffer.alloc(grownBytes, filler)
}

function mutateMessage(random: SeededRandom, message: Buffer, donor: Buffer): Buffer {
  const fields = fieldsOf(message)
  if (fields === null || fields.length === 0) return mutateBytes(random, message, donor)
  const others = fieldsOf(donor) ?? []
  const changed = [...fields]
  const nested = changed.flatMap(({ tag }, at) => ((tag & 7) === lengthDelimitedType ? [at] : []))
  if (nested.length === 0 || random.chance(changeHere)) {
    random.pick(changes)(random, changed, others)
    return bytesOf(changed)
  }
  const at = random.pick(nested)
  const field = changed[at]
  if (field !== undefined) {
    const alike = others.filter(({ tag }) => tag === field.tag)
    const source = alike.length === 0 ? donor : random.pick(alike).content
    changed[at] = { ...field, content: mutateMessage(random, field.content, source) }
  }
  return bytesOf(changed)
}

const bytesOnly = 0.3

/**
 * Changes a protobuf message field by field, at any depth: fields come twice, change places, numbers or types, go
 * missing, or come from another message, while the lengths around them stay right. Now and then the bytes as such.
 */
export const mutateFields: Mutator = (random, input, donor) => {
  if (random.chance(bytesOnly)) return mutateBytes(random, input, donor)
  let spoilt = input
  for (let i = 1 + random.int(3); i > 0; i--) spoilt = mutateMessage(random, spoilt, donor)
  return spoilt
}
