import { ByteWriter, compareBytes } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'

/** In the order in which a membership goes through them. */
const memberStates = ['joining', 'normal', 'leaving', 'removed'] as const

export type MemberState = (typeof memberStates)[number]

/**
 * What the cluster knows of one node. Normal and leaving members are in the ring; a joining one is not yet, a removed
 * one was. Zone, region, weight, joinedAt and removedAt are what the ring is worked out from: changing one of them for a
 * member that is in the ring lays the ring out anew, as if it had always been so.
 */
export interface Member {
  /** 1 to 64 of A-Z a-z 0-9 . _ - */
  readonly id: string
  /** Rises with every change of the record. */
  readonly version: number
  readonly state: MemberState
  /** Address for clients. */
  readonly http: string
  /** Address for the other nodes. */
  readonly peer: string
  readonly zone: string
  readonly region: string
  /** A positive integer: a member of weight 2 owns twice the partitions of one of weight 1. */
  readonly weight: number
  /** Sequence number of the topology change that let it into the ring; 0 for founders and while it is joining. */
  readonly joinedAt: number
  /**
   * Sequence number of the change that took it out of the ring, above joinedAt; 0 while it is in, and for ever when it
   * was removed without ever having been in.
   */
  readonly removedAt: number
}

export const memberWeightMax = 1000
const memberTextBytesMax = 256
const idPattern = /^[A-Za-z0-9._-]{1,64}$/

export function isMemberId(text: string): boolean {
  return idPattern.test(text)
}

/**
 * The order that decides which of two records of one member stands: removed ones are above all others, so that an id
 * never comes back whatever versions say; then by version, state and bytes, so that any two different records are
 * ordered and merging is the choice of a maximum.
 */
export function compareMembers(a: Member, b: Member): number {
  return (
    Number(a.state === 'removed') - Number(b.state === 'removed') ||
    a.version - b.version ||
    memberStates.indexOf(a.state) - memberStates.indexOf(b.state) ||
    compareBytes(memberBytes(a), memberBytes(b))
  )
}

/** Appends the canonical bytes of a valid record: equal records, and only those, give equal bytes. */
export function writeMember(writer: ByteWriter, member: Member): void {
  writer.string(member.id).varint(member.version).varint(memberStates.indexOf(member.state))
  writer.string(member.http).string(member.peer).string(member.zone).string(member.region)
  writer.varint(member.weight).varint(member.joinedAt).varint(member.removedAt)
}

function memberBytes(member: Member): Uint8Array {
  const writer = new ByteWriter()
  writeMember(writer, member)
  return writer.finish()
}

/** Errors: DecodeError that names the member and what is wrong with it. */
export function validateMember(member: Member): void {
  const { id, state, weight, joinedAt, removedAt } = member
  if (typeof id !== 'string' || !isMemberId(id)) {
    throw new DecodeError(
      `the member id ${JSON.stringify(id)} is not 1 to 64 characters of A-Z a-z 0-9 . _ -`
    )
  }
  const refuse = (problem: string): never => {
    throw new DecodeError(`member ${id}: ${problem}`)
  }
  if (!memberStates.includes(state)) refuse(`there is no state ${JSON.stringify(state)}`)
  for (const name of ['http', 'peer', 'zone', 'region'] as const) {
    if (!isPlainText(member[name])) {
      refuse(`its ${name} is not printable text of at most ${memberTextBytesMax} bytes`)
    }
  }
  for (const name of ['version', 'joinedAt', 'removedAt'] as const) {
    if (!isCount(member[name])) refuse(`its ${name}, ${member[name]}, is not a whole number`)
  }
  if (!isCount(weight) || weight < 1 || weight > memberWeightMax) {
    refuse(`its weight, ${weight}, is not a whole number from 1 to ${memberWeightMax}`)
  }
  if (state !== 'removed' && removedAt !== 0) refuse(`it is ${state}, yet removed at ${removedAt}`)
  if (removedAt !== 0 && removedAt <= joinedAt) {
    refuse(`it was removed at ${removedAt}, before it joined at ${joinedAt}`)
  }
}

/** Text that encodes to bytes and back unchanged, and is safe to print. */
function isPlainText(text: unknown): boolean {
  return (
    typeof text === 'string' &&
    text.isWellFormed() &&
    !/\p{Cc}/u.test(text) &&
    Buffer.byteLength(text) <= memberTextBytesMax
  )
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
