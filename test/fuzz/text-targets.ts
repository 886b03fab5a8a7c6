import { ByteWriter } from '../../core/bytes.ts'
import { deriveKeys } from '../../core/secrets.ts'
import { type Address, formatAddress, parseAddress } from '../../server/address.ts'
import { formatByteSize, parseByteSize } from '../../server/config/byte-size.ts'
import { checkValue, settings } from '../../server/config/settings.ts'
import { decodeContext, encodeContext } from '../../server/context-token.ts'
import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import { decodeCursor, encodeCursor } from '../../server/key-walk.ts'
import { contextOf, latestTimeOf } from '../../storage/version.ts'
import { SeededRandom } from '../sim/seeded-random.ts'
import { mutateBytes } from './byte-mutations.ts'
import { attempt, type FuzzTarget, isAmong, mustHold, type Verdict } from './fuzz-target.ts'
import { mostlySmall, sampleObjects } from './samples.ts'
import { mutateBase64, mutateText } from './text-mutations.ts'

const { context: hasher } = await deriveKeys('fuzzed', 'secret')
const key = keyOf(Buffer.from('bucket'), Buffer.from('key'))
const otherKey = keyOf(Buffer.from('bucketk'), Buffer.from('ey'))
const macBytes = 16

function tokensOf(seed: string): readonly Buffer[] {
  const tokens = sampleObjects(seed, 60).map((versions) => {
    const context = { vector: contextOf(versions), timeMs: latestTimeOf(versions) }
    return Buffer.from(encodeContext(hasher, key, context))
  })
  return mostlySmall(tokens)
}

/** Causal contexts as clients bring them back: only what was given out is taken, and only for its key. */
export function tokenTarget(seed: string): FuzzTarget {
  const corpus = tokensOf(seed)
  const isGivenOut = isAmong(corpus)
  const run = (input: Buffer): Verdict => {
    const token = input.toString()
    const context = attempt(() => decodeContext(hasher, key, token), 'bad_context')
    const known = isGivenOut(Buffer.from(token))
    mustHold(context.ok === known, 'a token is taken where it was given out, and only there')
    const moved = attempt(() => decodeContext(hasher, otherKey, token), 'bad_context')
    mustHold(!moved.ok, 'a token is not taken for another key')
    if (!context.ok) return 'refused'
    mustHold(encodeContext(hasher, key, context.value) === token, 'a token has one encoding')
    return 'accepted'
  }
  return { name: 'token', corpus, donors: corpus, mutate: mutateBase64, run }
}

/** What is in a token, with a digest that is right: another release of the same cluster. */
export function tokenContentTarget(seed: string): FuzzTarget {
  const corpus = tokensOf(seed).map((token) =>
    Buffer.from(token.toString(), 'base64url').subarray(0, -macBytes)
  )
  const run = (input: Buffer): Verdict => {
    const head = new ByteWriter().uint32(key.bucket.length).uint32(key.key.length).finish()
    const mac = hasher(head, key.bucket, key.key, input)
    const token = Buffer.concat([input, mac]).toString('base64url')
    const context = attempt(() => decodeContext(hasher, key, token), 'bad_context')
    if (!context.ok) return 'refused'
    mustHold(encodeContext(hasher, key, context.value) === token, 'a token has one encoding')
    return 'accepted'
  }
  return { name: 'token-content', corpus, donors: corpus, mutate: mutateBytes, run }
}

/** Cursors of listings; whether one leads into its partition is for the walk to say. */
export function cursorTarget(seed: string): FuzzTarget {
  const random = new SeededRandom(seed)
  const corpus = Array.from({ length: 60 }, (_, index) => {
    const from = index % 3 === 0 ? Buffer.alloc(0) : keyOf(random.bytes(3), random.bytes(9)).row
    return Buffer.from(encodeCursor({ partition: random.int(256), from }))
  })
  const run = (input: Buffer): Verdict => {
    const text = input.toString()
    const cursor = attempt(() => decodeCursor(text), 'bad_parameter')
    if (!cursor.ok) return 'refused'
    mustHold(encodeCursor(cursor.value) === text, 'a cursor has one encoding')
    return 'accepted'
  }
  return { name: 'cursor', corpus, donors: corpus, mutate: mutateBase64, run }
}

const addresses = [
  ...[
    '127.0.0.1:8801',
    'localhost:0',
    '[::1]:9801',
    '[fe80::1%25eth0]:65535',
    'n1.example.org:443'
  ],
  ...['0.0.0.0:80', '[::]:1', 'a:1', '[::ffff:10.0.0.1]:9801']
].map((text) => Buffer.from(text))

function checkAddress({ host, port }: Address): void {
  mustHold(host !== '', 'an address has a host')
  mustHold(!/[\s\p{Cc}]/u.test(host), 'a host has no blanks and no control characters')
  mustHold(Number.isInteger(port) && port >= 0 && port <= 65_535, 'a port is a port')
}

/** Addresses to listen on, and those of peers that gossip brought. */
export function addressTarget(): FuzzTarget {
  const run = (input: Buffer): Verdict => {
    const text = input.toString()
    const read = attempt(() => parseAddress(text), 'bad_parameter')
    if (!read.ok) return 'refused'
    checkAddress(read.value)
    const { host, port } = parseAddress(formatAddress(read.value))
    mustHold(host === read.value.host && port === read.value.port, 'an address comes back')
    return 'accepted'
  }
  return { name: 'address', corpus: addresses, donors: addresses, mutate: mutateText, run }
}

const sizes = ['0 B', '1 B', '16 MiB', '1.5 GiB', '0.5 KiB', '64KiB', '8 TiB', '1024 KiB', '3 GiB']
const sizeSettings = settings.filter(({ kind }) => kind === 'bytes')

/** Sizes of the configuration. */
export function byteSizeTarget(): FuzzTarget {
  const corpus = sizes.map((text) => Buffer.from(text))
  const run = (input: Buffer): Verdict => {
    const text = input.toString()
    const bytes = parseByteSize(text)
    for (const setting of sizeSettings) {
      const checked = checkValue(setting, text)
      mustHold(!checked.ok || checked.value === bytes, 'a setting has the size that was written')
      mustHold(!checked.ok || Number.isSafeInteger(checked.value), 'a size is a number of bytes')
    }
    if (bytes === null) return 'refused'
    mustHold(Number.isFinite(bytes) && bytes >= 0, 'a size is a number')
    if (!Number.isSafeInteger(bytes)) return 'accepted'
    mustHold(parseByteSize(formatByteSize(bytes)) === bytes, 'a size that is written comes back')
    return 'accepted'
  }
  return { name: 'byte-size', corpus, donors: corpus, mutate: mutateText, run }
}
