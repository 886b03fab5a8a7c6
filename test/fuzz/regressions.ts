import { create, toBinary } from '@bufbuild/protobuf'
import { ByteWriter } from '../../core/bytes.ts'
import { GossipSchema, LinkMessageSchema } from '../../proto/gen/anneal/peer/v1/peer_pb.ts'
import { encodeHandshake, type Greeting } from '../../proto/handshake-codec.ts'
import type { Question, Reply } from '../../repair/reconcile/messages.ts'
import { encodeQuestion } from '../../repair/reconcile/question-codec.ts'
import { encodeReply } from '../../repair/reconcile/reply-codec.ts'
import { partitionsMax } from '../../ring/token.ts'
import type { Verdict } from './fuzz-target.ts'
import { packMessages } from './message-list.ts'

/** An input that once broke a rule, or that shows where one stands. */
export interface Regression {
  readonly name: string
  readonly target: string
  readonly input: Buffer
  readonly verdict: Verdict
}

const actor = 'incarnat000001'
const lastDateMs = 8.64e15
const largeSize = 4097
const tombstoneFlag = 1
const apartFlag = 2
const contentTypeFlag = 8

interface VersionFields {
  readonly flags?: number
  readonly counter?: number
  readonly timeMs?: number
  /** What stands between the time and the content hash. */
  readonly extra?: Uint8Array
  /** What stands after the content hash. */
  readonly rest?: Uint8Array
}

function versionOf(fields: VersionFields = {}): Buffer {
  const writer = new ByteWriter().uint8(fields.flags ?? tombstoneFlag)
  writer.latin1(actor).varint(fields.counter ?? 1)
  writer.varint(0).varint(fields.timeMs ?? 1)
  writer.bytes(fields.extra ?? Buffer.alloc(0)).bytes(Buffer.alloc(16))
  return writer.bytes(fields.rest ?? Buffer.alloc(0)).finish()
}

const large = new ByteWriter().varint(largeSize).finish()
const apart = versionOf({ flags: apartFlag, rest: large })
const inline = versionOf({
  flags: 0,
  counter: 2,
  rest: Buffer.concat([large, Buffer.alloc(largeSize)])
})

const ofObject = (name: string, verdict: Verdict, ...versions: readonly Buffer[]): Regression => {
  const input = Buffer.concat([Buffer.of(1, versions.length), ...versions])
  return { name, target: 'object', input, verdict }
}

const notText = { flags: contentTypeFlag, extra: Buffer.of(1, 0xff), rest: Buffer.of(0) }
const padded = { flags: 0, rest: Buffer.of(0x80, 0) }

const objects: readonly Regression[] = [
  ofObject('the last date there is', 'accepted', versionOf({ timeMs: lastDateMs })),
  ofObject('a time beyond all dates', 'refused', versionOf({ timeMs: lastDateMs + 1 })),
  ofObject('a counter that no row key has room for', 'refused', versionOf({ counter: 2 ** 48 })),
  ofObject('a content type that is not UTF-8', 'refused', versionOf(notText)),
  ofObject('a size that is padded with zeros', 'refused', versionOf(padded)),
  ofObject('one version twice', 'refused', versionOf(), versionOf()),
  ofObject('large values in two forms in one object', 'refused', apart, inline)
]

const peer: Greeting = {
  protocolVersion: 1,
  clusterName: 'fuzzed',
  partitions: 256,
  nodeId: 'a',
  release: '1.2.3',
  nonce: Buffer.alloc(16, 2),
  process: Buffer.alloc(16, 2)
}
const longText = 'x'.repeat(5000)
const longName = { ...peer, clusterName: longText }

function memberWithState(state: string): Buffer {
  const member = { id: 'n1', version: 1n, state, http: 'h:1', peer: 'p:1', weight: 1 }
  const document = { members: [member] }
  return Buffer.from(toBinary(GossipSchema, create(GossipSchema, { document })))
}

function failureWith(code: string): Buffer {
  const frame = { id: 1n, body: { case: 'failure' as const, value: { code } } }
  return Buffer.from(toBinary(LinkMessageSchema, create(LinkMessageSchema, { frames: [frame] })))
}

const nothingBeside = { facts: [], wanted: [] }

/** Outcomes of many rows, all of them the usual one, which a few bytes say. */
const manyTaken: Reply = {
  kind: 'exchanged',
  outcomes: Array.from({ length: 16_384 }, () => ({ kind: 'taken' })),
  answered: 0,
  stale: false,
  rows: [],
  roots: []
}

/** An offer for all partitions that a cluster can have, where a run says so in a few bytes. */
const offerOfAll: Question = {
  kind: 'open',
  nowMs: 1,
  offers: [
    {
      kind: 'watermark',
      name: '0102030405060708',
      partitions: Array.from({ length: partitionsMax }, (_, partition) => partition)
    }
  ],
  partitions: []
}

// The roots come last, and these say that there are none.
const withoutRoots = encodeReply({ ...manyTaken, outcomes: [] }, nothingBeside).subarray(0, -1)
const runOfAll = new ByteWriter().varint(1).varint(0).varint(partitionsMax).finish()

export const regressions: readonly Regression[] = [
  ...objects,
  {
    name: 'flags of a row that nobody knows',
    target: 'row-content',
    input: Buffer.concat([Buffer.of(1, 0x80), Buffer.alloc(16), Buffer.of(1, 1), versionOf()]),
    verdict: 'refused'
  },
  {
    name: 'flags of an identity that nobody knows',
    target: 'identity',
    input: Buffer.concat([Buffer.of(1, 2), Buffer.alloc(8, 1), Buffer.of(0)]),
    verdict: 'refused'
  },
  {
    name: 'a hello whose cluster name would be repeated in the refusal',
    target: 'acceptor-handshake',
    input: packMessages([encodeHandshake({ step: 'hello', greeting: longName })]),
    verdict: 'refused'
  },
  {
    name: 'a welcome whose cluster name would be repeated in the refusal',
    target: 'dialer-handshake',
    input: packMessages([
      encodeHandshake({ step: 'welcome', greeting: longName, proof: Buffer.alloc(32) })
    ]),
    verdict: 'refused'
  },
  {
    name: 'a member whose state would be repeated in the refusal',
    target: 'document',
    input: memberWithState(longText),
    verdict: 'refused'
  },
  {
    name: 'a member that is as it should be',
    target: 'document',
    input: memberWithState('normal'),
    verdict: 'accepted'
  },
  {
    name: 'a failure with a code that every object has',
    target: 'frames',
    input: failureWith('constructor'),
    verdict: 'accepted'
  },
  {
    name: 'outcomes of many rows in a few bytes',
    target: 'reconcile-reply',
    input: encodeReply(manyTaken, nothingBeside),
    verdict: 'accepted'
  },
  {
    name: 'roots of more partitions than there are bytes for',
    target: 'reconcile-reply',
    input: Buffer.concat([withoutRoots, runOfAll]),
    verdict: 'refused'
  },
  {
    name: 'an offer for all partitions in a few bytes',
    target: 'reconcile-question',
    input: encodeQuestion(offerOfAll, nothingBeside),
    verdict: 'accepted'
  },
  {
    name: 'a host with a control character',
    target: 'address',
    input: Buffer.from('\u0010:1'),
    verdict: 'refused'
  },
  {
    name: 'brackets around what is no IPv6 address',
    target: 'address',
    input: Buffer.from('[1%/]:6'),
    verdict: 'refused'
  },
  {
    name: 'a size beyond all numbers',
    target: 'byte-size',
    input: Buffer.from(`${'9'.repeat(310)} B`),
    verdict: 'refused'
  },
  {
    name: 'a part of a byte',
    target: 'byte-size',
    input: Buffer.from('1.5 B'),
    verdict: 'refused'
  }
]
