import { ByteWriter, varintRoom } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { decodeBody, encodeBody } from './body-codec.ts'
import type { Frame, Request, Response } from './frames.ts'
import { RecurringString } from './recurring-string.ts'
import {
  FieldReader,
  lengthOfBytes,
  lengthOfMessage,
  lengthOfUint,
  noBytes,
  writeBytes,
  writeMessage,
  writeMessageHead,
  writeUint
} from './wire-format.ts'

/** The numbers of the fields of `Frame.body` in the schema. */
export const bodyField = {
  ping: 3,
  read: 4,
  replicate: 5,
  coordinate: 6,
  inspect: 7,
  listKeys: 8,
  gossip: 9,
  reconcile: 10,
  storeHint: 11,
  consult: 12,
  report: 13,
  survey: 14,
  pong: 20,
  readReply: 21,
  acknowledged: 22,
  coordinated: 23,
  inspected: 24,
  keysListed: 25,
  gossiped: 26,
  reconciled: 27,
  consulted: 28,
  reported: 29,
  failure: 30,
  surveyed: 31
} as const satisfies Record<(Request | Response)['kind'], number>

type Kind = keyof typeof bodyField

const kindOfField = new Map<number, Kind>()
for (const [kind, field] of Object.entries(bodyField)) kindOfField.set(field, kind as Kind)

const framesField = 1
const idField = 1
const epochField = 2

// A write goes to several replicas with one and the same body, one right after the other. Bodies are immutable.
let lastBody: Request | Response | null = null
let lastBodyBytes: Uint8Array = noBytes

const epochs = new RecurringString()

/**
 * A frame whose body is bytes already. All frames of one body share them: what waits for several replicas is held once,
 * and put together with the rest of its frame only in the message that goes out.
 */
export interface EncodedFrame {
  readonly id: number
  readonly epoch: Uint8Array
  readonly field: number
  readonly body: Uint8Array
  /** Bytes of the whole frame. */
  readonly bytes: number
}

export function encodeFrame({ id, epoch, body }: Frame): EncodedFrame {
  if (body !== lastBody) {
    lastBodyBytes = encodeBody(body)
    lastBody = body
  }
  const field = bodyField[body.kind]
  const epochBytes = epochs.bytesOf(epoch)
  const bytes =
    lengthOfUint(idField, id) +
    lengthOfBytes(epochField, epochBytes) +
    lengthOfMessage(field, lastBodyBytes.length)
  return { id, epoch: epochBytes, field, body: lastBodyBytes, bytes }
}

/** Frames gathered into one message of the stream. */
export function encodeLinkMessage(frames: readonly EncodedFrame[]): Buffer {
  let length = 0
  for (const { bytes } of frames) length += lengthOfMessage(framesField, bytes)
  const writer = new ByteWriter(length + varintRoom)
  for (const { id, epoch, field, body, bytes } of frames) {
    writeMessageHead(writer, framesField, bytes)
    writeUint(writer, idField, id)
    writeBytes(writer, epochField, epoch)
    writeMessage(writer, field, body)
  }
  return writer.finish()
}

/** Errors: DecodeError for anything that is not a message of frames. */
export function decodeLinkMessage(message: Uint8Array): Frame[] {
  const fields = new FieldReader(message)
  const frames: Frame[] = []
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === framesField) frames.push(decodeFrame(fields.bytes()))
  }
  return frames
}

function decodeFrame(bytes: Uint8Array): Frame {
  const fields = new FieldReader(bytes)
  let id = 0
  let epoch = ''
  let body: Request | Response | null = null
  for (let field = fields.next(); field !== 0; field = fields.next()) {
    if (field === idField) id = fields.uint()
    else if (field === epochField) epoch = epochs.read(fields)
    else {
      const kind = kindOfField.get(field)
      if (kind !== undefined) body = decodeBody(kind, fields.bytes())
    }
  }
  if (body === null) throw new DecodeError(`frame ${id} has no body that is known here`)
  return { id, epoch, body }
}
