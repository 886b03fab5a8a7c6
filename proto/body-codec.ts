import { ByteWriter } from '../core/bytes.ts'
import { type ErrorCode, errorStatus } from '../core/errors.ts'
import { decodeColdBody, encodeColdBody } from './cold-codec.ts'
import type {
  Acknowledged,
  Coordinated,
  CoordinateRequest,
  Failure,
  ReadReply,
  ReadRequest,
  ReplicateRequest,
  Request,
  Response,
  StoreHintRequest
} from './frames.ts'
import {
  decodeReconcile,
  decodeReconciled,
  encodeReconcile,
  encodeReconciled
} from './reconcile-body-codec.ts'
import {
  FieldReader,
  noBytes,
  writeBool,
  writeBytes,
  writeMessage,
  writeString,
  writeUint
} from './wire-format.ts'

/**
 * The bodies of frames as protobuf, written by hand for what every read and write sends: the generated code takes longer
 * over a small message than LevelDB takes to read a row. A test holds each of these against the generated code, byte for
 * byte.
 */

type BodyKind = (Request | Response)['kind']

export function encodeBody(body: Request | Response): Uint8Array {
  switch (body.kind) {
    case 'ping':
    case 'pong':
      return encodeHeartbeat(body.documentDigest, body.acceptsWrites)
    case 'read':
      return encodeRead(body)
    case 'readReply':
      return encodeReadReply(body)
    case 'replicate':
      return encodeReplicate(body)
    case 'storeHint':
      return encodeStoreHint(body)
    case 'reconcile':
      return encodeReconcile(body)
    case 'reconciled':
      return encodeReconciled(body)
    case 'acknowledged':
      return body.quarantined.length === 0 ? noBytes : encodeAcknowledged(body)
    case 'coordinate':
      return encodeCoordinate(body)
    case 'coordinated':
      return encodeCoordinated(body)
    case 'failure':
      return encodeFailure(body)
    default:
      return encodeColdBody(body)
  }
}

export function decodeBody(kind: BodyKind, bytes: Buffer): Request | Response {
  switch (kind) {
    case 'ping':
    case 'pong':
      return decodeHeartbeat(kind, bytes)
    case 'read':
      return decodeRead(bytes)
    case 'readReply':
      return decodeReadReply(bytes)
    case 'replicate':
      return decodeReplicate(bytes)
    case 'storeHint':
      return decodeStoreHint(bytes)
    case 'reconcile':
      return decodeReconcile(bytes)
    case 'reconciled':
      return decodeReconciled(bytes)
    case 'acknowledged':
      return bytes.length === 0 ? acknowledged : decodeAcknowledged(bytes)
    case 'coordinate':
      return decodeCoordinate(bytes)
    case 'coordinated':
      return decodeCoordinated(bytes)
    case 'failure':
      return decodeFailure(bytes)
    default:
      return decodeColdBody(kind, bytes)
  }
}

const acknowledged: Acknowledged = { kind: 'acknowledged', quarantined: noBytes }

function encodeAcknowledged({ quarantined }: Acknowledged): Buffer {
  const writer = new ByteWriter(16 + quarantined.length)
  writeBytes(writer, 1, quarantined)
  return writer.finish()
}

function decodeAcknowledged(bytes: Buffer): Acknowledged {
  const fields = new FieldReader(bytes)
  let quarantined = noBytes
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) quarantined = fields.bytes()
  }
  return { kind: 'acknowledged', quarantined }
}

function encodeHeartbeat(documentDigest: string, acceptsWrites: boolean): Buffer {
  const writer = new ByteWriter(64)
  writeString(writer, 1, documentDigest)
  writeBool(writer, 2, acceptsWrites)
  return writer.finish()
}

function decodeHeartbeat(kind: 'ping' | 'pong', bytes: Buffer): Request | Response {
  const fields = new FieldReader(bytes)
  let documentDigest = ''
  let acceptsWrites = false
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) documentDigest = fields.string()
    else if (field === 2) acceptsWrites = fields.bool()
  }
  return { kind, documentDigest, acceptsWrites }
}

function encodeRead(body: ReadRequest): Buffer {
  const writer = new ByteWriter(32 + body.bucket.length + body.key.length)
  writeBytes(writer, 1, body.bucket)
  writeBytes(writer, 2, body.key)
  writeBytes(writer, 3, body.objectHash)
  writeBool(writer, 4, body.standIn)
  return writer.finish()
}

function decodeRead(bytes: Buffer): ReadRequest {
  const fields = new FieldReader(bytes)
  const body = {
    kind: 'read' as const,
    bucket: noBytes,
    key: noBytes,
    objectHash: noBytes,
    standIn: false
  }
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) body.bucket = fields.bytes()
    else if (field === 2) body.key = fields.bytes()
    else if (field === 3) body.objectHash = fields.bytes()
    else if (field === 4) body.standIn = fields.bool()
  }
  return body
}

function encodeReadReply(body: ReadReply): Buffer {
  const writer = new ByteWriter(16 + body.object.length)
  writeBool(writer, 1, body.same)
  writeBytes(writer, 2, body.object)
  writeBool(writer, 3, body.useBulk)
  writeBool(writer, 4, body.damaged)
  writeBytes(writer, 5, body.watermark)
  return writer.finish()
}

function decodeReadReply(bytes: Buffer): ReadReply {
  const fields = new FieldReader(bytes)
  let same = false
  let object: Buffer = noBytes
  let useBulk = false
  let damaged = false
  let watermark = noBytes
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) same = fields.bool()
    else if (field === 2) object = fields.bytes()
    else if (field === 3) useBulk = fields.bool()
    else if (field === 4) damaged = fields.bool()
    else if (field === 5) watermark = fields.bytes()
  }
  return { kind: 'readReply', same, object, useBulk, damaged, watermark }
}

function encodeReplicate(body: ReplicateRequest): Buffer {
  const writer = new ByteWriter(24 + body.bucket.length + body.key.length + body.object.length)
  writeBytes(writer, 1, body.bucket)
  writeBytes(writer, 2, body.key)
  writeBytes(writer, 3, body.object)
  writeBool(writer, 4, body.synced)
  return writer.finish()
}

function decodeReplicate(bytes: Buffer): ReplicateRequest {
  const fields = new FieldReader(bytes)
  let bucket: Buffer = noBytes
  let key: Buffer = noBytes
  let object: Buffer = noBytes
  let synced = false
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) bucket = fields.bytes()
    else if (field === 2) key = fields.bytes()
    else if (field === 3) object = fields.bytes()
    else if (field === 4) synced = fields.bool()
  }
  return { kind: 'replicate', bucket, key, object, synced }
}

function encodeStoreHint(body: StoreHintRequest): Buffer {
  const writer = new ByteWriter(64 + body.bucket.length + body.key.length + body.object.length)
  writeBytes(writer, 1, body.bucket)
  writeBytes(writer, 2, body.key)
  writeBytes(writer, 3, body.object)
  writeString(writer, 4, body.target)
  return writer.finish()
}

function decodeStoreHint(bytes: Buffer): StoreHintRequest {
  const fields = new FieldReader(bytes)
  const body = {
    kind: 'storeHint' as const,
    bucket: noBytes,
    key: noBytes,
    object: noBytes,
    target: ''
  }
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) body.bucket = fields.bytes()
    else if (field === 2) body.key = fields.bytes()
    else if (field === 3) body.object = fields.bytes()
    else if (field === 4) body.target = fields.string()
  }
  return body
}

function encodeCoordinate(body: CoordinateRequest): Buffer {
  const writer = new ByteWriter(128 + body.key.length + body.value.length)
  writeBytes(writer, 1, body.bucket)
  writeBytes(writer, 2, body.key)
  writeBool(writer, 3, body.tombstone)
  writeBytes(writer, 4, body.value)
  writeString(writer, 5, body.contentType)
  for (const [name, value] of body.meta) {
    const entry = new ByteWriter(64)
    writeString(entry, 1, name)
    writeString(entry, 2, value)
    writeMessage(writer, 6, entry.finish())
  }
  writeUint(writer, 7, body.ttlMs)
  writeBytes(writer, 8, body.context)
  writeUint(writer, 9, body.contextTimeMs)
  writeBool(writer, 10, body.coversAllHeld)
  writeString(writer, 11, body.writeQuorum)
  writeUint(writer, 12, body.timeoutMs)
  writeBool(writer, 13, body.returnObject)
  writeBool(writer, 14, body.strict)
  writeBool(writer, 15, body.asFallback)
  writeString(writer, 16, body.localRegion)
  return writer.finish()
}

function decodeCoordinate(bytes: Buffer): CoordinateRequest {
  const fields = new FieldReader(bytes)
  const meta: (readonly [string, string])[] = []
  const body = {
    kind: 'coordinate' as const,
    bucket: noBytes,
    key: noBytes,
    tombstone: false,
    value: noBytes,
    contentType: '',
    meta,
    ttlMs: 0,
    context: noBytes,
    contextTimeMs: 0,
    coversAllHeld: false,
    writeQuorum: '',
    timeoutMs: 0,
    returnObject: false,
    strict: false,
    asFallback: false,
    localRegion: ''
  }
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) body.bucket = fields.bytes()
    else if (field === 2) body.key = fields.bytes()
    else if (field === 3) body.tombstone = fields.bool()
    else if (field === 4) body.value = fields.bytes()
    else if (field === 5) body.contentType = fields.string()
    else if (field === 6) meta.push(decodeMeta(fields.bytes()))
    else if (field === 7) body.ttlMs = fields.uint()
    else if (field === 8) body.context = fields.bytes()
    else if (field === 9) body.contextTimeMs = fields.uint()
    else if (field === 10) body.coversAllHeld = fields.bool()
    else if (field === 11) body.writeQuorum = fields.string()
    else if (field === 12) body.timeoutMs = fields.uint()
    else if (field === 13) body.returnObject = fields.bool()
    else if (field === 14) body.strict = fields.bool()
    else if (field === 15) body.asFallback = fields.bool()
    else if (field === 16) body.localRegion = fields.string()
  }
  return body
}

function decodeMeta(bytes: Buffer): readonly [string, string] {
  const fields = new FieldReader(bytes)
  let name = ''
  let value = ''
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) name = fields.string()
    else if (field === 2) value = fields.string()
  }
  return [name, value]
}

function encodeCoordinated(body: Coordinated): Buffer {
  const writer = new ByteWriter(128 + body.context.length + body.object.length)
  writeBytes(writer, 1, body.context)
  writeUint(writer, 2, body.contextTimeMs)
  writeBytes(writer, 3, body.contentHash)
  writeUint(writer, 4, body.answered)
  writeUint(writer, 5, body.asked)
  writeBytes(writer, 6, body.object)
  writeUint(writer, 7, body.hinted)
  return writer.finish()
}

function decodeCoordinated(bytes: Buffer): Coordinated {
  const fields = new FieldReader(bytes)
  const body = {
    kind: 'coordinated' as const,
    context: noBytes,
    contextTimeMs: 0,
    contentHash: noBytes,
    answered: 0,
    asked: 0,
    object: noBytes,
    hinted: 0
  }
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) body.context = fields.bytes()
    else if (field === 2) body.contextTimeMs = fields.uint()
    else if (field === 3) body.contentHash = fields.bytes()
    else if (field === 4) body.answered = fields.uint()
    else if (field === 5) body.asked = fields.uint()
    else if (field === 6) body.object = fields.bytes()
    else if (field === 7) body.hinted = fields.uint()
  }
  return body
}

function encodeFailure(body: Failure): Buffer {
  const writer = new ByteWriter(64 + body.message.length + body.details.length)
  writeString(writer, 1, body.code)
  writeString(writer, 2, body.message)
  writeString(writer, 3, body.details)
  return writer.finish()
}

function decodeFailure(bytes: Buffer): Failure {
  const fields = new FieldReader(bytes)
  let code: Failure['code'] = 'internal'
  let message = ''
  let details = ''
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === 1) code = toCode(fields.string())
    else if (field === 2) message = fields.string()
    else if (field === 3) details = fields.string()
  }
  return { kind: 'failure', code, message, details }
}

function toCode(code: string): Failure['code'] {
  if (code === 'epoch') return code
  return Object.hasOwn(errorStatus, code) ? (code as ErrorCode) : 'internal'
}
