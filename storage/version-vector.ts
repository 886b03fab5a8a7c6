import { type ByteReader, type ByteWriter, toHex } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { vectorEntriesMax } from '../core/limits.ts'

/**
 * Who mints dots: one epoch of one incarnation of one node. Kept as a string of 14 characters below 256 (8 bytes of
 * incarnation, 6 bytes of epoch, big-endian), so that it is a map key, compares as its bytes do, and costs no parsing.
 */
export type Actor = string

/** 8 random bytes as a string of characters below 256; drawn anew whenever a node may have forgotten something. */
export type Incarnation = string

export const incarnationLength = 8
const actorLength = incarnationLength + 6

/** Counters have 6 bytes where they are part of a key. */
export const counterMax = 2 ** 48 - 1

/** One write: unique for ever, because an actor's counter never repeats. */
export interface Dot {
  readonly actor: Actor
  readonly counter: number
}

/** For each actor the counter up to which everything that it minted is known. */
export type VersionVector = ReadonlyMap<Actor, number>

export const emptyVector: VersionVector = new Map()

/** Epochs are counters of the same incarnation, so that an actor, once used up, is never met again. */
export function makeActor(incarnation: Incarnation, epoch: number): Actor {
  const bytes = Buffer.allocUnsafe(6)
  bytes.writeUIntBE(epoch, 0, 6)
  return incarnation + bytes.toString('latin1')
}

export function incarnationOf(actor: Actor): Incarnation {
  return actor.slice(0, incarnationLength)
}

export function epochOf(actor: Actor): number {
  let epoch = 0
  for (let i = incarnationLength; i < actorLength; i++) epoch = epoch * 256 + actor.charCodeAt(i)
  return epoch
}

/** Whether the actor's incarnation is the given one, without cutting strings apart. */
export function isOfIncarnation(actor: Actor, incarnation: string): boolean {
  return actor.startsWith(incarnation)
}

/** For people: `1f00d5a2c3b4e697/12`. */
export function formatActor(actor: Actor): string {
  const bytes = Buffer.from(actor, 'latin1')
  return `${toHex(bytes.subarray(0, incarnationLength))}/${bytes.readUIntBE(incarnationLength, 6)}`
}

export function formatDot(dot: Dot): string {
  return `${formatActor(dot.actor)}:${dot.counter}`
}

export function compareDots(a: Dot, b: Dot): number {
  if (a.actor !== b.actor) return a.actor < b.actor ? -1 : 1
  return a.counter - b.counter
}

export function covers(vector: VersionVector, dot: Dot): boolean {
  const counter = vector.get(dot.actor)
  return counter !== undefined && counter >= dot.counter
}

/** Whether `a` knows all that `b` knows. */
export function descends(a: VersionVector, b: VersionVector): boolean {
  for (const [actor, counter] of b) {
    if ((a.get(actor) ?? 0) < counter) return false
  }
  return true
}

/** The latest of each actor's writes that `b` knows and `a` does not. */
export function missingFrom(a: VersionVector, b: VersionVector): Dot[] {
  const missing: Dot[] = []
  for (const [actor, counter] of b) {
    if ((a.get(actor) ?? 0) < counter) missing.push({ actor, counter })
  }
  return missing
}

export function addDot(vector: Map<Actor, number>, dot: Dot): void {
  if ((vector.get(dot.actor) ?? 0) < dot.counter) vector.set(dot.actor, dot.counter)
}

export function addVector(vector: Map<Actor, number>, other: VersionVector): void {
  for (const [actor, counter] of other) {
    if ((vector.get(actor) ?? 0) < counter) vector.set(actor, counter)
  }
}

/** Canonical: entries in the order of their actors. */
export function encodeVector(writer: ByteWriter, vector: VersionVector): void {
  writer.varint(vector.size)
  if (vector.size === 0) return
  const entries = [...vector]
  if (entries.length > 1) entries.sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [actor, counter] of entries) writer.latin1(actor).varint(counter)
}

/** Errors: DecodeError, also where the entries are not in canonical order. */
export function decodeVector(reader: ByteReader): VersionVector {
  const size = reader.varint()
  if (size === 0) return emptyVector
  if (size > vectorEntriesMax) throw new DecodeError(`a version vector of ${size} entries`)
  const vector = new Map<Actor, number>()
  let previous = ''
  for (let i = 0; i < size; i++) {
    const actor = decodeActor(reader)
    if (actor <= previous) throw new DecodeError('a version vector out of order')
    previous = actor
    vector.set(actor, decodeCounter(reader))
  }
  return vector
}

export function encodeDot(writer: ByteWriter, dot: Dot): void {
  writer.latin1(dot.actor).varint(dot.counter)
}

export function decodeDot(reader: ByteReader): Dot {
  return { actor: decodeActor(reader), counter: decodeCounter(reader) }
}

export function decodeActor(reader: ByteReader): Actor {
  return reader.latin1(actorLength)
}

function decodeCounter(reader: ByteReader): number {
  const counter = reader.varint()
  if (counter === 0 || counter > counterMax) throw new DecodeError(`a counter of ${counter}`)
  return counter
}
