import { fromBinary, toBinary } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { equalBytes } from '../../core/bytes.ts'
import { errorStatus } from '../../core/errors.ts'
import { decodeColdBody, encodeColdBody } from '../../proto/cold-codec.ts'
import { encodeDocument } from '../../proto/document-codec.ts'
import { decodeLinkMessage, encodeFrame, encodeLinkMessage } from '../../proto/frame-codec.ts'
import type { Request, Response } from '../../proto/frames.ts'
import { ClusterDocumentSchema } from '../../proto/gen/anneal/peer/v1/peer_pb.ts'
import {
  decodeHandshake,
  encodeHandshake,
  type HandshakeStep
} from '../../proto/handshake-codec.ts'
import {
  type ClusterDocument,
  documentDigest,
  mergeDocuments,
  validateDocument
} from '../../ring/cluster-document.ts'
import { buildRing } from '../../ring/ring.ts'
import { coldBodies, framesOf, hotBodies } from '../proto/bodies.ts'
import { documents, memberOf } from '../ring/arbitraries.ts'
import { mutateFields } from './field-mutations.ts'
import { attempt, type FuzzTarget, mustHold, type Verdict } from './fuzz-target.ts'
import { mostlySmall, sample } from './samples.ts'

/** Messages of frames, with bodies of every kind. */
export function framesTarget(seed: string): FuzzTarget {
  const messages = fc.array(framesOf(fc.oneof(hotBodies, coldBodies)), { maxLength: 4 })
  const corpus = mostlySmall(
    sample(messages, seed, 300).map((frames) => encodeLinkMessage(frames.map(encodeFrame)))
  )
  const run = (input: Buffer): Verdict => {
    const frames = attempt(() => decodeLinkMessage(input), 'decode error')
    if (!frames.ok) return 'refused'
    const once = encodeLinkMessage(frames.value.map(encodeFrame))
    const twice = encodeLinkMessage(decodeLinkMessage(once).map(encodeFrame))
    mustHold(equalBytes(once, twice), 'what frames say survives being passed on')
    for (const { body } of frames.value) {
      if (body.kind !== 'failure' || body.code === 'epoch') continue
      mustHold(Object.hasOwn(errorStatus, body.code), 'failures have codes out of a closed set')
    }
    return 'accepted'
  }
  return { name: 'frames', corpus, donors: corpus, mutate: mutateFields, run }
}

const kinds = [
  'inspect',
  'inspected',
  'listKeys',
  'keysListed',
  'gossip',
  'gossiped',
  'consult',
  'consulted',
  'report',
  'reported',
  'survey',
  'surveyed'
] as const
type ColdKind = (typeof kinds)[number]
type ColdBody = Extract<Request | Response, { kind: ColdKind }>

function isCold(body: Request | Response): body is ColdBody {
  return kinds.some((kind) => kind === body.kind)
}

/** Bodies of the generated code, each read as every kind that there is. */
export function coldBodyTarget(seed: string): FuzzTarget {
  const bodies = sample(coldBodies, seed, 300).filter(isCold)
  const corpus = mostlySmall(bodies.map((body) => Buffer.from(encodeColdBody(body))))
  const run = (input: Buffer): Verdict => {
    let verdict: Verdict = 'refused'
    for (const kind of kinds) {
      const body = attempt(() => decodeColdBody(kind, input), 'decode error')
      if (!body.ok) continue
      verdict = 'accepted'
      mustHold(body.value.kind === kind && isCold(body.value), 'a body is of the kind asked for')
      const once = encodeColdBody(body.value)
      const again = decodeColdBody(kind, once)
      mustHold(isCold(again), 'a body is of the kind asked for')
      mustHold(equalBytes(once, encodeColdBody(again)), 'what a body says survives being passed on')
    }
    return verdict
  }
  return { name: 'cold-body', corpus, donors: corpus, mutate: mutateFields, run }
}

const bytes = fc.uint8Array({ maxLength: 40 })
const text = fc.string({ maxLength: 12 })
const greetings = fc.record({
  protocolVersion: fc.nat({ max: 3 }),
  clusterName: text,
  partitions: fc.constantFrom(1, 256, 65536),
  nodeId: text,
  release: text,
  nonce: bytes,
  process: bytes
})
const steps: fc.Arbitrary<HandshakeStep> = fc.oneof(
  fc.record({ step: fc.constant('hello' as const), greeting: greetings }),
  fc.record({ step: fc.constant('welcome' as const), greeting: greetings, proof: bytes }),
  fc.record({ step: fc.constant('proof' as const), proof: bytes }),
  fc.record({ step: fc.constant('accepted' as const) }),
  fc.record({ step: fc.constant('refused' as const), code: text, detail: text })
)

/** Messages of a handshake, which anybody may send. */
export function handshakeTarget(seed: string): FuzzTarget {
  const corpus = mostlySmall(
    sample(steps, seed, 200).map((step) => Buffer.from(encodeHandshake(step)))
  )
  const frames = framesTarget(seed).corpus
  const run = (input: Buffer): Verdict => {
    const step = attempt(() => decodeHandshake(input), 'decode error')
    if (!step.ok) return 'refused'
    const once = encodeHandshake(step.value)
    const twice = encodeHandshake(decodeHandshake(once))
    mustHold(equalBytes(once, twice), 'what a handshake says survives being passed on')
    return 'accepted'
  }
  return { name: 'handshake', corpus, donors: frames, mutate: mutateFields, run }
}

const ours: ClusterDocument = {
  members: new Map(['a', 'b', 'c'].map((id) => [id, memberOf(id, { version: 2, zone: id })])),
  buckets: new Map(),
  sealed: true
}
const ringOptions = { partitions: 16, replication: { n: 3 } } as const
const largestRing = 12

/** Gossiped documents: the body of a gossip is the document and nothing else, in field 1. */
export function documentTarget(seed: string): FuzzTarget {
  const corpus = mostlySmall(sample(documents, seed, 300).map((document) => gossipOf(document)))
  const run = (input: Buffer): Verdict => {
    const gossip = attempt(() => decodeColdBody('gossip', input), 'decode error')
    if (!gossip.ok) return 'refused'
    mustHold(gossip.value.kind === 'gossip', 'gossip is gossip')
    const { document } = gossip.value
    if (document !== null) checkDocument(document)
    return 'accepted'
  }
  return { name: 'document', corpus, donors: corpus, mutate: mutateFields, run }
}

function gossipOf(document: ClusterDocument): Buffer {
  return Buffer.from(encodeColdBody({ kind: 'gossip', document }))
}

function checkDocument(document: ClusterDocument): void {
  validateDocument(document)
  const digest = documentDigest(document)
  const again = decodeColdBody('gossip', gossipOf(document))
  mustHold(again.kind === 'gossip' && again.document !== null, 'a document can be passed on')
  mustHold(documentDigest(again.document) === digest, 'a document keeps its digest on the way')
  const kept = encodeDocument(document)
  const wire = toBinary(ClusterDocumentSchema, kept)
  mustHold(
    equalBytes(toBinary(ClusterDocumentSchema, fromBinary(ClusterDocumentSchema, wire)), wire),
    'a document can be kept'
  )
  const merged = mergeDocuments(ours, document)
  validateDocument(merged)
  const other = mergeDocuments(document, ours)
  mustHold(documentDigest(merged) === documentDigest(other), 'merging is commutative')
  mustHold(mergeDocuments(merged, document) === merged, 'merging is idempotent')
  if (merged.members.size > largestRing) return
  const ring = buildRing(merged.members.values(), ringOptions)
  const { epoch } = buildRing(other.members.values(), ringOptions)
  mustHold(ring.epoch === epoch, 'nodes that heard the same agree on the ring')
  for (let partition = 0; partition < ring.partitions; partition++) {
    const replicas = ring.replicas(partition)
    mustHold(
      replicas.every((id) => merged.members.has(id)) &&
        replicas.length === Math.min(3, ring.memberIds.length),
      'every partition is held by members, by as many as are wanted'
    )
  }
}
