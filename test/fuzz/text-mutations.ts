import type { SeededRandom } from '../sim/seeded-random.ts'
import { mutateBytes } from './byte-mutations.ts'
import type { Mutator } from './fuzz-target.ts'

/** What parsers of text have been seen to trip over. */
const pieces = [
  ...['', ' ', '\n', '\r\n', '\t', '\0', '\u00a0', '\ufeff', '\ud800', '\u0663', '\uff11', 'ß'],
  ...['0', '00', '1', '9', '-1', '+1', '0x10', '1e9', '1e400', '.', '.5', '5.', 'NaN', 'Infinity'],
  ...['65535', '65536', '99999', '9007199254740993', '9'.repeat(310), '0'.repeat(40)],
  ...[':', '::', '::1', '[', ']', '[::1]', '[]', '%', '%25', '@', '/', '?', '#', 'localhost'],
  ...[' B', 'B', 'KiB', ' MiB', 'GiB', 'TiB', 'PiB', 'kib', 'KB'],
  ...['=', '==', '-', '_', '+', '/', 'A', 'AAAA', '$', '__proto__']
] as const

function mutateOnce(random: SeededRandom, text: string, donor: string): string {
  const from = random.int(text.length + 1)
  const to = Math.min(text.length, from + random.int(4))
  switch (random.int(5)) {
    case 0:
      return text.slice(0, from) + random.pick(pieces) + text.slice(from)
    case 1:
      return text.slice(0, from) + random.pick(pieces) + text.slice(to)
    case 2:
      return text.slice(0, from) + text.slice(to)
    case 3:
      return text.slice(0, from) + donor.slice(random.int(donor.length + 1))
    default:
      return text + text.slice(from)
  }
}

const bytesOnly = 0.3

/** Changes text, as UTF-8, by characters and by pieces that mean something somewhere. */
export const mutateText: Mutator = (random, input, donor) => {
  if (random.chance(bytesOnly)) return mutateBytes(random, input, donor)
  let text = input.toString()
  for (let i = 1 + random.int(3); i > 0; i--) text = mutateOnce(random, text, donor.toString())
  return Buffer.from(text)
}

/** Changes the bytes behind a base64url text, and writes them as such a text again. */
export const mutateBase64: Mutator = (random, input, donor) => {
  if (random.chance(bytesOnly)) return mutateText(random, input, donor)
  const decode = (text: Buffer): Buffer => Buffer.from(text.toString(), 'base64url')
  const spoilt = mutateBytes(random, decode(input), decode(donor))
  return Buffer.from(spoilt.toString('base64url'))
}
