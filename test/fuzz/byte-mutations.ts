import type { SeededRandom } from '../sim/seeded-random.ts'
import type { Mutator } from './fuzz-target.ts'

const interestingBytes = [0, 1, 2, 0x0f, 0x10, 0x7f, 0x80, 0x81, 0xfe, 0xff] as const

/** Varints at the edges of what is read and written, the padded and the far too long ones included. */
export const interestingVarints: readonly Buffer[] = [
  [0],
  [1],
  [2],
  [0x7f],
  [0x80, 0x01],
  [0xff, 0x7f],
  [0x80, 0x80, 0x04],
  [0x81, 0x80, 0x04],
  [0xff, 0xff, 0xff, 0xff, 0x07],
  [0x80, 0x80, 0x80, 0x80, 0x08],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0x3f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x00],
  [0x81, 0x00],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]
].map((bytes) => Buffer.from(bytes))

const spanMax = 24
const changesMax = 4
const repeatedBytes = 5000

/** A stretch of the bytes: mostly short, sometimes up to the end. */
function spanOf(random: SeededRandom, bytes: Buffer): { from: number; to: number } {
  const from = random.int(bytes.length + 1)
  const longest = random.chance(0.1) ? bytes.length : spanMax
  const to = Math.min(bytes.length, from + 1 + random.int(longest))
  return { from, to }
}

function replaceSpan(bytes: Buffer, from: number, to: number, by: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)])
}

function varintEnd(bytes: Buffer, from: number): number {
  let at = from
  while (at < bytes.length && (bytes[at] ?? 0) >= 0x80) at++
  return Math.min(at + 1, bytes.length)
}

/** A place where a byte could be the length of what follows it; any place where there is none. */
function likelyLength(random: SeededRandom, bytes: Buffer): number {
  for (let tries = 0; tries < 8; tries++) {
    const at = random.int(bytes.length)
    const length = bytes[at] ?? 0
    if (length > 0 && length < 0x80 && at + 1 + length <= bytes.length) return at
  }
  return random.int(bytes.length)
}

const changes: readonly Mutator[] = [
  function flipBit(random, bytes) {
    const spoilt = Buffer.from(bytes)
    const at = random.int(bytes.length)
    spoilt[at] = (spoilt[at] ?? 0) ^ (1 << random.int(8))
    return spoilt
  },
  function setByte(random, bytes) {
    const spoilt = Buffer.from(bytes)
    const byte = random.chance(0.5) ? random.pick(interestingBytes) : random.int(256)
    spoilt[random.int(bytes.length)] = byte
    return spoilt
  },
  function truncate(random, bytes) {
    return Buffer.from(bytes.subarray(0, random.int(bytes.length)))
  },
  function insertBytes(random, bytes) {
    const at = random.int(bytes.length + 1)
    return replaceSpan(bytes, at, at, random.bytes(1 + random.int(9)))
  },
  function removeSpan(random, bytes) {
    const { from, to } = spanOf(random, bytes)
    return replaceSpan(bytes, from, to, Buffer.alloc(0))
  },
  function repeatSpan(random, bytes) {
    const { from, to } = spanOf(random, bytes)
    return replaceSpan(bytes, from, from, bytes.subarray(from, to))
  },
  function repeatOften(random, bytes) {
    const { from, to } = spanOf(random, bytes)
    if (from === to || random.chance(0.9)) return bytes
    return replaceSpan(bytes, from, from, Buffer.alloc(repeatedBytes, bytes.subarray(from, to)))
  },
  function swapSpans(random, bytes) {
    const { from, to } = spanOf(random, bytes)
    const end = Math.min(bytes.length, to + (to - from))
    const swapped = Buffer.concat([bytes.subarray(to, end), bytes.subarray(from, to)])
    return replaceSpan(bytes, from, end, swapped)
  },
  function setVarint(random, bytes) {
    const from = random.int(bytes.length)
    return replaceSpan(bytes, from, varintEnd(bytes, from), random.pick(interestingVarints))
  },
  function setLength(random, bytes) {
    const at = likelyLength(random, bytes)
    const length = bytes[at] ?? 0
    const near = [length - 1, length + 1, length + 2, length * 2].map((n) => Buffer.of(n & 0x7f))
    const by = random.chance(0.5) ? random.pick(near) : random.pick(interestingVarints)
    return replaceSpan(bytes, at, at + 1, by)
  },
  function splice(random, bytes, donor) {
    const head = bytes.subarray(0, random.int(bytes.length + 1))
    return Buffer.concat([head, donor.subarray(random.int(donor.length + 1))])
  },
  function takeSpan(random, bytes, donor) {
    const { from, to } = spanOf(random, bytes)
    const taken = spanOf(random, donor)
    return replaceSpan(bytes, from, to, donor.subarray(taken.from, taken.to))
  }
]

/** One to four changes that know of bytes, varints and lengths, and of nothing else. */
export const mutateBytes: Mutator = (random, input, donor) => {
  let spoilt = input
  const count = 1 + Math.min(random.int(changesMax), random.int(changesMax))
  for (let i = 0; i < count; i++) {
    spoilt =
      spoilt.length === 0
        ? Buffer.from(random.bytes(1 + random.int(spanMax)))
        : random.pick(changes)(random, spoilt, donor)
  }
  return spoilt
}
