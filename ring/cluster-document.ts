import { ByteWriter, toHex } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { hash128 } from '../core/hash.ts'
import { documentBucketsMax, documentMembersMax } from '../core/limits.ts'
import {
  type BucketRecord,
  compareBucketRecords,
  validateBucketRecord,
  writeBucketRecord
} from './bucket-record.ts'
import { compareMembers, type Member, validateMember, writeMember } from './member.ts'

export type { BucketProperties, BucketRecord, QuorumSpec } from './bucket-record.ts'
export type { Member, MemberState } from './member.ts'

/**
 * What every node holds, persists and gossips about the cluster: a state-based CRDT (Shapiro et al. 2011), in which
 * every record is a maximum over what was ever said, so that nodes that heard the same things in any order agree.
 */
export interface ClusterDocument {
  /** By member id. Removed members stay: the ring is worked out from them too, and their ids must not return. */
  readonly members: ReadonlyMap<string, Member>
  /** By bucket name; buckets that nobody configured have no record. */
  readonly buckets: ReadonlyMap<string, BucketRecord>
  /** The cluster has taken writes: from now on a change of the ring moves data. Never taken back. */
  readonly sealed: boolean
}

/**
 * Joins two valid documents: commutative, associative, idempotent. Answers `a` itself where `b` adds nothing to it.
 * The union can exceed the limits that whoever adds a record keeps to; what is read may be larger by far.
 */
export function mergeDocuments(a: ClusterDocument, b: ClusterDocument): ClusterDocument {
  const members = mergeRecords(a.members, b.members, compareMembers)
  const buckets = mergeRecords(a.buckets, b.buckets, compareBucketRecords)
  const sealed = a.sealed || b.sealed
  if (members === a.members && buckets === a.buckets && sealed === a.sealed) return a
  return { members, buckets, sealed }
}

/** Of two records under one name the greater stands. Answers `a` itself where nothing in `b` is greater. */
function mergeRecords<Value>(
  a: ReadonlyMap<string, Value>,
  b: ReadonlyMap<string, Value>,
  compare: (a: Value, b: Value) => number
): ReadonlyMap<string, Value> {
  const news = [...b].filter(([name, theirs]) => {
    const ours = a.get(name)
    return ours === undefined || compare(theirs, ours) > 0
  })
  return news.length === 0 ? a : new Map([...a, ...news])
}

/** Equal for equal documents and only for those, whatever the order of the maps: 32 hexadecimal digits. */
export function documentDigest(document: ClusterDocument): string {
  const writer = new ByteWriter(4096)
  writer.uint8(document.sealed ? 1 : 0).varint(document.members.size)
  for (const [, member] of sortedByName(document.members)) writeMember(writer, member)
  writer.varint(document.buckets.size)
  for (const [name, record] of sortedByName(document.buckets)) {
    writeBucketRecord(writer.string(name), record)
  }
  return toHex(hash128(writer.finish()))
}

/** By UTF-16 code units, which unlike a locale are the same everywhere. */
function sortedByName<Value>(records: ReadonlyMap<string, Value>): readonly [string, Value][] {
  return [...records].sort(([a], [b]) => (a < b ? -1 : 1))
}

/**
 * Checks a document that a peer sent or a disk kept, before anything is worked out from it. The types of the fields are
 * not taken on trust either.
 *
 * Errors: DecodeError that names the record and what is wrong with it.
 */
export function validateDocument(document: ClusterDocument): void {
  const { members, buckets, sealed } = document
  if (typeof sealed !== 'boolean') throw new DecodeError('the document lacks its seal flag')
  checkSize('members', members.size, documentMembersMax)
  checkSize('buckets', buckets.size, documentBucketsMax)
  for (const [id, member] of members) {
    validateMember(member)
    if (member.id !== id) throw new DecodeError(`member ${member.id} is filed under another id`)
  }
  for (const [name, record] of buckets) validateBucketRecord(name, record)
}

function checkSize(what: string, size: number, max: number): void {
  if (size > max) throw new DecodeError(`the document has ${size} ${what}, more than ${max}`)
}
