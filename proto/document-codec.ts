import { create } from '@bufbuild/protobuf'
import {
  type BucketProperties,
  type BucketRecord,
  type ClusterDocument,
  type Member,
  type QuorumSpec,
  validateDocument
} from '../ring/cluster-document.ts'
import {
  ClusterDocumentSchema,
  type BucketProperties as WireBucketProperties,
  type ClusterDocument as WireClusterDocument,
  type Member as WireMember
} from './gen/anneal/peer/v1/peer_pb.ts'

export function encodeDocument(document: ClusterDocument): WireClusterDocument {
  const members = [...document.members.values()].map(
    ({ joinedAt, removedAt, version, ...rest }) => ({
      ...rest,
      version: BigInt(version),
      joinedAt: BigInt(joinedAt),
      removedAt: BigInt(removedAt)
    })
  )
  const buckets = [...document.buckets].map(([name, { version, writer, properties }]) => {
    const bucket = { name, version: BigInt(version), writer }
    return properties === null ? bucket : { ...bucket, properties: propertiesToWire(properties) }
  })
  return create(ClusterDocumentSchema, { members, buckets, sealed: document.sealed })
}

/** Errors: DecodeError where the document breaks a limit or a rule. */
export function decodeDocument(wire: WireClusterDocument): ClusterDocument {
  const document = {
    members: new Map(wire.members.map((member) => [member.id, memberFrom(member)])),
    buckets: new Map(
      wire.buckets.map(({ name, version, writer, properties }): [string, BucketRecord] => [
        name,
        {
          version: Number(version),
          writer,
          properties: properties === undefined ? null : propertiesFrom(properties)
        }
      ])
    ),
    sealed: wire.sealed
  }
  validateDocument(document)
  return document
}

// States, conflict modes and quorums come as the strings they are; `validateDocument` refuses unknown ones.
function memberFrom({ id, http, peer, zone, region, weight, ...wire }: WireMember): Member {
  return {
    id,
    http,
    peer,
    zone,
    region,
    weight,
    state: wire.state as Member['state'],
    version: Number(wire.version),
    joinedAt: Number(wire.joinedAt),
    removedAt: Number(wire.removedAt)
  }
}

function propertiesToWire({ conflict, ttlSeconds, r, w }: BucketProperties) {
  return {
    conflict,
    ...(ttlSeconds === null ? {} : { ttlSeconds: BigInt(ttlSeconds) }),
    ...(r === null ? {} : { r: String(r) }),
    ...(w === null ? {} : { w: String(w) })
  }
}

function propertiesFrom({ conflict, ttlSeconds, r, w }: WireBucketProperties): BucketProperties {
  return {
    conflict: conflict as BucketProperties['conflict'],
    ttlSeconds: ttlSeconds === undefined ? null : Number(ttlSeconds),
    r: r === undefined ? null : quorumFrom(r),
    w: w === undefined ? null : quorumFrom(w)
  }
}

function quorumFrom(text: string): QuorumSpec {
  return /^\d+$/.test(text) ? Number(text) : (text as QuorumSpec)
}
