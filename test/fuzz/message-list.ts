import { ByteReader, ByteWriter } from '../../core/bytes.ts'
import type { SeededRandom } from '../sim/seeded-random.ts'
import { mutateFields } from './field-mutations.ts'
import type { Mutator } from './fuzz-target.ts'

const messagesMax = 8

/** The messages that are fed to a state machine, as the one input that is replayed. */
export function packMessages(messages: readonly Uint8Array[]): Buffer {
  const writer = new ByteWriter()
  for (const message of messages) writer.lengthPrefixed(message)
  return writer.finish()
}

/** Any bytes are a list of messages: where a length does not fit, what is left is the last one. */
export function unpackMessages(input: Buffer): readonly Buffer[] {
  const messages: Buffer[] = []
  let rest = input
  while (rest.length > 0 && messages.length < messagesMax) {
    const { message, used } = firstMessage(rest)
    messages.push(message)
    rest = rest.subarray(used)
  }
  return messages
}

function firstMessage(bytes: Buffer): { readonly message: Buffer; readonly used: number } {
  try {
    const reader = new ByteReader(bytes)
    const message = reader.lengthPrefixed()
    return { message, used: reader.offset }
  } catch {
    return { message: bytes, used: bytes.length }
  }
}

type ListMutator = (random: SeededRandom, messages: Buffer[], others: readonly Buffer[]) => void

const spoilOne: ListMutator = (random, messages, others) => {
  const at = random.int(messages.length)
  const donor = others.length === 0 ? Buffer.alloc(0) : random.pick(others)
  messages.splice(at, 1, mutateFields(random, messages[at] ?? donor, donor))
}

const changes: readonly ListMutator[] = [
  spoilOne,
  spoilOne,
  spoilOne,
  function repeat(random, messages) {
    messages.splice(random.int(messages.length + 1), 0, random.pick(messages))
  },
  function move(random, messages) {
    const [moved] = messages.splice(random.int(messages.length), 1)
    if (moved !== undefined) messages.splice(random.int(messages.length + 1), 0, moved)
  },
  function drop(random, messages) {
    messages.splice(random.int(messages.length), 1)
  },
  function takeForeign(random, messages, others) {
    if (others.length > 0) messages.splice(random.int(messages.length + 1), 0, random.pick(others))
  },
  function replaceByForeign(random, messages, others) {
    if (others.length > 0) messages.splice(random.int(messages.length), 1, random.pick(others))
  },
  function join(random, messages) {
    const at = random.int(messages.length)
    messages.splice(at, 2, Buffer.concat(messages.slice(at, at + 2)))
  }
]

/** Spoils a conversation: messages are changed, repeated, lost, come in another order or from another one. */
export const mutateMessages: Mutator = (random, input, donor) => {
  const messages = [...unpackMessages(input)]
  const others = unpackMessages(donor)
  for (let i = 1 + random.int(2); i > 0; i--) {
    if (messages.length === 0) messages.push(...others.slice(0, 1))
    if (messages.length > 0) random.pick(changes)(random, messages, others)
  }
  return packMessages(messages)
}
