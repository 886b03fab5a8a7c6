import type { MessageInitShape } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { type ErrorCode, errorCodes } from '../../core/errors.ts'
import type { Frame, Request, Response } from '../../proto/frames.ts'
import type { FrameSchema } from '../../proto/gen/anneal/peer/v1/peer_pb.ts'
import { documents } from '../ring/arbitraries.ts'

const bytes = fc.oneof(
  fc.constant(new Uint8Array()),
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 120, max: 20_000 }).map((length) => new Uint8Array(length).fill(length))
)
const text = fc.oneof(
  fc.constant(''),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme', minLength: 100, maxLength: 200 })
)
const uint64 = fc.oneof(
  fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER),
  fc.maxSafeNat()
)
const uint32 = fc.oneof(fc.constantFrom(0, 1, 127, 128, 2 ** 31, 2 ** 32 - 1), fc.nat())
const bool = fc.boolean()

// Real objects have a prototype, and deep equality asks for it.
const plain = { noNullPrototype: true } as const
const kind = <Kind extends string>(name: Kind) => fc.constant(name)

const failureCodes = fc.constantFrom<ErrorCode | 'epoch'>('epoch', ...errorCodes)

/** What reads and writes send: encoded by hand. */
export const hotBodies: fc.Arbitrary<Request | Response> = fc.oneof(
  fc.record({ kind: kind('ping'), documentDigest: text, acceptsWrites: bool }, plain),
  fc.record({ kind: kind('pong'), documentDigest: text, acceptsWrites: bool }, plain),
  fc.record(
    { kind: kind('read'), bucket: bytes, key: bytes, objectHash: bytes, standIn: bool },
    plain
  ),
  fc.record(
    {
      kind: kind('readReply'),
      same: bool,
      object: bytes,
      useBulk: bool,
      damaged: bool,
      watermark: bytes
    },
    plain
  ),
  fc.record(
    { kind: kind('replicate'), bucket: bytes, key: bytes, object: bytes, synced: bool },
    plain
  ),
  fc.record(
    { kind: kind('storeHint'), bucket: bytes, key: bytes, object: bytes, target: text },
    plain
  ),
  fc.record({ kind: kind('acknowledged'), quarantined: bytes }, plain),
  fc.record({ kind: kind('reconcile'), session: bytes, number: uint64, payload: bytes }, plain),
  fc.record({ kind: kind('reconciled'), payload: bytes }, plain),
  fc.record(
    {
      kind: kind('coordinate'),
      bucket: bytes,
      key: bytes,
      tombstone: bool,
      value: bytes,
      contentType: text,
      meta: fc.array(fc.tuple(text, text), { maxLength: 4 }),
      ttlMs: uint64,
      context: bytes,
      contextTimeMs: uint64,
      coversAllHeld: bool,
      writeQuorum: text,
      timeoutMs: uint32,
      returnObject: bool,
      strict: bool,
      asFallback: bool,
      localRegion: text
    },
    plain
  ),
  fc.record(
    {
      kind: kind('coordinated'),
      context: bytes,
      contextTimeMs: uint64,
      contentHash: bytes,
      answered: uint32,
      asked: uint32,
      object: bytes,
      hinted: uint32
    },
    plain
  ),
  fc.record({ kind: kind('failure'), code: failureCodes, message: text, details: text }, plain)
)

/** What is sent now and then: encoded by the generated code. */
export const coldBodies: fc.Arbitrary<Request | Response> = fc.oneof(
  fc.record({ kind: kind('inspect'), bucket: bytes, key: bytes }, plain),
  fc.record({ kind: kind('inspected'), state: text, object: bytes }, plain),
  fc.record(
    {
      kind: kind('listKeys'),
      bucket: bytes,
      prefix: bytes,
      partition: uint32,
      from: bytes,
      limit: uint32
    },
    plain
  ),
  fc.record(
    {
      kind: kind('keysListed'),
      keys: fc.array(fc.record({ key: bytes, objectHash: bytes, live: bool, row: bytes }, plain), {
        maxLength: 5
      }),
      next: bytes
    },
    plain
  ),
  fc.record({ kind: kind('gossip'), document: fc.option(documents) }, plain),
  fc.record({ kind: kind('gossiped'), document: documents }, plain),
  fc.record({ kind: kind('consult'), bucket: bytes, key: bytes, dots: bytes }, plain),
  fc.record({ kind: kind('consulted'), opinions: bytes, watermark: bytes }, plain),
  fc.record(
    {
      kind: kind('report'),
      live: bytes,
      settledName: bytes,
      settled: bytes,
      watermarks: bytes,
      wanted: bytes,
      about: bytes
    },
    plain
  ),
  fc.record(
    {
      kind: kind('reported'),
      live: bytes,
      settledName: bytes,
      settled: bytes,
      watermarks: bytes,
      content: bytes,
      hinted: bytes
    },
    plain
  ),
  fc.record({ kind: kind('survey') }, plain),
  fc.record(
    {
      kind: kind('surveyed'),
      release: text,
      state: text,
      uptimeSeconds: uint32,
      epoch: text,
      up: fc.array(text, { maxLength: 5 }),
      down: fc.array(text, { maxLength: 5 }),
      hints: uint32,
      quarantined: uint32,
      repairHeld: text
    },
    plain
  )
)

export const framesOf = (bodies: fc.Arbitrary<Request | Response>): fc.Arbitrary<Frame> =>
  fc.record({ id: uint64, epoch: text, body: bodies }, plain)

/** A frame with a body of the hot path as the generated code wants it. */
export function toGenerated({ id, epoch, body }: Frame): MessageInitShape<typeof FrameSchema> {
  return { id: BigInt(id), epoch, body: bodyToGenerated(body) }
}

function bodyToGenerated(
  body: Request | Response
): NonNullable<MessageInitShape<typeof FrameSchema>['body']> {
  switch (body.kind) {
    case 'ping':
      return { case: 'ping', value: body }
    case 'pong':
      return { case: 'pong', value: body }
    case 'read':
      return { case: 'read', value: body }
    case 'readReply':
      return { case: 'readReply', value: body }
    case 'replicate':
      return { case: 'replicate', value: body }
    case 'storeHint':
      return { case: 'storeHint', value: body }
    case 'reconcile':
      return { case: 'reconcile', value: { ...body, number: BigInt(body.number) } }
    case 'reconciled':
      return { case: 'reconciled', value: body }
    case 'acknowledged':
      return { case: 'acknowledged', value: body }
    case 'coordinate': {
      const meta = body.meta.map(([name, value]) => ({ name, value }))
      const times = { ttlMs: BigInt(body.ttlMs), contextTimeMs: BigInt(body.contextTimeMs) }
      return { case: 'coordinate', value: { ...body, ...times, meta } }
    }
    case 'coordinated':
      return {
        case: 'coordinated',
        value: { ...body, contextTimeMs: BigInt(body.contextTimeMs) }
      }
    case 'failure':
      return { case: 'failure', value: body }
    default:
      throw new Error(`${body.kind} is no body of the hot path`)
  }
}

/**
 * The same value with bytes of any class as hex, and without what the generated code notes on its messages, so that
 * values compare by what they say.
 */
export function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`
  if (Array.isArray(value)) return value.map(comparable)
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, comparable(item)]))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).filter(([name]) => !name.startsWith('$'))
  return Object.fromEntries(entries.map(([name, item]) => [name, comparable(item)]))
}
