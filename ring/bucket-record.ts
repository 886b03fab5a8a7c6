import { ByteWriter, compareBytes } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { keyBytesCeiling, membersMax } from '../core/limits.ts'
import { isMemberId } from './member.ts'

const quorumNames = ['one', 'quorum', 'all', 'local_quorum', 'each_quorum'] as const

/** How many replicas must answer: a number, or a name for one that depends on how many there are and where. */
export type QuorumSpec = number | (typeof quorumNames)[number]

const conflictModes = ['siblings', 'lww'] as const

export interface BucketProperties {
  /** What becomes of writes that had not seen each other: all are kept, or the last one wins. */
  readonly conflict: (typeof conflictModes)[number]
  /** Age at which values expire; null: never. */
  readonly ttlSeconds: number | null
  /** Null: what the cluster is configured with. */
  readonly r: QuorumSpec | null
  readonly w: QuorumSpec | null
}

export interface BucketRecord {
  /** Rises with every change of the record. */
  readonly version: number
  /** Id of the member that made this version. */
  readonly writer: string
  /** Null: taken back to the defaults. The record stays, so that an older one cannot return. */
  readonly properties: BucketProperties | null
}

/** A hundred years, which also keeps every point in time in milliseconds an exact number. */
export const ttlSecondsMax = 100 * 366 * 86_400

/** The order that decides which of two records of one bucket stands; only equal records are level. */
export function compareBucketRecords(a: BucketRecord, b: BucketRecord): number {
  return a.version - b.version || compareBytes(recordBytes(a), recordBytes(b))
}

/** Appends the canonical bytes of a valid record: equal records, and only those, give equal bytes. */
export function writeBucketRecord(
  bytes: ByteWriter,
  { version, writer, properties }: BucketRecord
): void {
  bytes.varint(version).string(writer)
  if (properties === null) {
    bytes.uint8(0)
    return
  }
  bytes.uint8(1).string(properties.conflict)
  bytes.varint(properties.ttlSeconds ?? 0)
  bytes.string(String(properties.r ?? '')).string(String(properties.w ?? ''))
}

function recordBytes(record: BucketRecord): Uint8Array {
  const bytes = new ByteWriter()
  writeBucketRecord(bytes, record)
  return bytes.finish()
}

/** Errors: DecodeError that names the bucket and what is wrong with its record. */
export function validateBucketRecord(name: string, record: BucketRecord): void {
  const nameBytes = Buffer.byteLength(name)
  if (nameBytes === 0 || nameBytes > keyBytesCeiling || !name.isWellFormed()) {
    throw new DecodeError(`a bucket name is not well-formed text of 1 to ${keyBytesCeiling} bytes`)
  }
  const { version, writer, properties } = record
  const refuse = (problem: string): never => {
    throw new DecodeError(`bucket ${JSON.stringify(name)}: ${problem}`)
  }
  if (!Number.isSafeInteger(version) || version < 0) {
    refuse(`its version, ${version}, is not a whole number`)
  }
  if (typeof writer !== 'string' || !isMemberId(writer)) {
    refuse(`its writer, ${JSON.stringify(writer)}, is not a member id`)
  }
  if (properties === null) return
  const { conflict, ttlSeconds, r, w } = properties
  if (!conflictModes.includes(conflict)) refuse(`there is no mode ${JSON.stringify(conflict)}`)
  if (ttlSeconds !== null && !isWithin(ttlSeconds, ttlSecondsMax)) {
    refuse(`its time to live, ${ttlSeconds}, is not a whole number from 1 to ${ttlSecondsMax}`)
  }
  if (r !== null && !isQuorumSpec(r)) refuse(`its r, ${JSON.stringify(r)}, is not a quorum`)
  if (w !== null && !isQuorumSpec(w)) refuse(`its w, ${JSON.stringify(w)}, is not a quorum`)
}

/** What `quorum` means: any two majorities have a member in common. */
export function majority(count: number): number {
  return Math.floor(count / 2) + 1
}

/** Whether this is a quorum that can be asked for at all; whether there are as many replicas is another question. */
export function isQuorumSpec(value: unknown): value is QuorumSpec {
  return isWithin(value, membersMax) || quorumNames.some((name) => name === value)
}

function isWithin(value: unknown, max: number): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= max
}
