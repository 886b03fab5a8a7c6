import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { DecodeError } from '../core/errors.ts'
import { decodeDocument, encodeDocument } from './document-codec.ts'
import type {
  Consulted,
  ConsultRequest,
  Gossiped,
  GossipRequest,
  Inspected,
  InspectRequest,
  KeysListed,
  ListKeysRequest,
  Reported,
  ReportRequest,
  Request,
  Response,
  Surveyed,
  SurveyRequest
} from './frames.ts'
import {
  ConsultedSchema,
  ConsultSchema,
  GossipedSchema,
  GossipSchema,
  InspectedSchema,
  InspectSchema,
  KeysListedSchema,
  ListKeysSchema,
  ReportedSchema,
  ReportSchema,
  SurveyedSchema,
  SurveySchema
} from './gen/anneal/peer/v1/peer_pb.ts'

/** Bodies that are sent now and then: mapped by the generated code. */
type ColdBody =
  | InspectRequest
  | Inspected
  | ListKeysRequest
  | KeysListed
  | GossipRequest
  | Gossiped
  | ConsultRequest
  | Consulted
  | ReportRequest
  | Reported
  | SurveyRequest
  | Surveyed

export function encodeColdBody(body: ColdBody): Uint8Array {
  switch (body.kind) {
    case 'inspect':
      return toBinary(InspectSchema, create(InspectSchema, { bucket: body.bucket, key: body.key }))
    case 'inspected':
      return toBinary(
        InspectedSchema,
        create(InspectedSchema, { state: body.state, object: body.object })
      )
    case 'listKeys': {
      const { bucket, prefix, partition, from, limit } = body
      return toBinary(
        ListKeysSchema,
        create(ListKeysSchema, { bucket, prefix, partition, from, limit })
      )
    }
    case 'keysListed': {
      const keys = body.keys.map(({ key, objectHash, live, row }) => ({
        key,
        objectHash,
        live,
        row
      }))
      return toBinary(KeysListedSchema, create(KeysListedSchema, { keys, next: body.next }))
    }
    case 'gossip':
      return toBinary(
        GossipSchema,
        body.document === null
          ? create(GossipSchema)
          : create(GossipSchema, { document: encodeDocument(body.document) })
      )
    case 'gossiped':
      return toBinary(
        GossipedSchema,
        create(GossipedSchema, { document: encodeDocument(body.document) })
      )
    case 'consult': {
      const { bucket, key, dots } = body
      return toBinary(ConsultSchema, create(ConsultSchema, { bucket, key, dots }))
    }
    case 'consulted': {
      const { opinions, watermark } = body
      return toBinary(ConsultedSchema, create(ConsultedSchema, { opinions, watermark }))
    }
    case 'report': {
      const { live, settledName, settled, watermarks, wanted, about } = body
      return toBinary(
        ReportSchema,
        create(ReportSchema, { live, settledName, settled, watermarks, wanted, about })
      )
    }
    case 'reported': {
      const { live, settledName, settled, watermarks, content, hinted } = body
      return toBinary(
        ReportedSchema,
        create(ReportedSchema, { live, settledName, settled, watermarks, content, hinted })
      )
    }
    case 'survey':
      return toBinary(SurveySchema, create(SurveySchema))
    case 'surveyed': {
      const { kind: _, up, down, ...figures } = body
      const lists = { up: [...up], down: [...down] }
      return toBinary(SurveyedSchema, create(SurveyedSchema, { ...figures, ...lists }))
    }
  }
}

/** Errors: DecodeError for bytes that are no such body, and for documents that break a limit. */
export function decodeColdBody(kind: ColdBody['kind'], bytes: Uint8Array): Request | Response {
  try {
    return decodeBody(kind, bytes)
  } catch (thrown) {
    if (thrown instanceof DecodeError) throw thrown
    throw new DecodeError(`${kind}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
  }
}

function decodeBody(kind: ColdBody['kind'], bytes: Uint8Array): Request | Response {
  switch (kind) {
    case 'inspect': {
      const { bucket, key } = fromBinary(InspectSchema, bytes)
      return { kind, bucket, key }
    }
    case 'inspected': {
      const { state, object } = fromBinary(InspectedSchema, bytes)
      return { kind, state, object }
    }
    case 'listKeys': {
      const { bucket, prefix, partition, from, limit } = fromBinary(ListKeysSchema, bytes)
      return { kind, bucket, prefix, partition, from, limit }
    }
    case 'keysListed': {
      const { keys, next } = fromBinary(KeysListedSchema, bytes)
      return { kind, keys, next }
    }
    case 'gossip': {
      const { document } = fromBinary(GossipSchema, bytes)
      return { kind, document: document === undefined ? null : decodeDocument(document) }
    }
    case 'gossiped': {
      const { document } = fromBinary(GossipedSchema, bytes)
      if (document === undefined) throw new DecodeError('gossip without a document')
      return { kind, document: decodeDocument(document) }
    }
    case 'consult': {
      const { bucket, key, dots } = fromBinary(ConsultSchema, bytes)
      return { kind, bucket, key, dots }
    }
    case 'consulted': {
      const { opinions, watermark } = fromBinary(ConsultedSchema, bytes)
      return { kind, opinions, watermark }
    }
    case 'report': {
      const { live, settledName, settled, watermarks, wanted, about } = fromBinary(
        ReportSchema,
        bytes
      )
      return { kind, live, settledName, settled, watermarks, wanted, about }
    }
    case 'reported': {
      const { live, settledName, settled, watermarks, content, hinted } = fromBinary(
        ReportedSchema,
        bytes
      )
      return { kind, live, settledName, settled, watermarks, content, hinted }
    }
    case 'survey':
      fromBinary(SurveySchema, bytes)
      return { kind }
    case 'surveyed': {
      const { release, state, uptimeSeconds, epoch, up, down, hints, quarantined, repairHeld } =
        fromBinary(SurveyedSchema, bytes)
      return {
        kind,
        release,
        state,
        uptimeSeconds,
        epoch,
        up,
        down,
        hints,
        quarantined,
        repairHeld
      }
    }
  }
}
