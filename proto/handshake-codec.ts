import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { DecodeError } from '../core/errors.ts'
import {
  type Handshake,
  HandshakeSchema,
  type Hello,
  HelloSchema,
  LinkMessageSchema
} from './gen/anneal/peer/v1/peer_pb.ts'

/** What both sides say of themselves before anything else. */
export interface Greeting {
  readonly protocolVersion: number
  readonly clusterName: string
  readonly partitions: number
  readonly nodeId: string
  readonly release: string
  readonly nonce: Uint8Array
  /** Random, and the same for the life of a process. */
  readonly process: Uint8Array
}

export type HandshakeStep =
  | { readonly step: 'hello'; readonly greeting: Greeting }
  | { readonly step: 'welcome'; readonly greeting: Greeting; readonly proof: Uint8Array }
  | { readonly step: 'proof'; readonly proof: Uint8Array }
  | { readonly step: 'accepted' }
  | { readonly step: 'refused'; readonly code: string; readonly detail: string }

export function encodeHandshake(step: HandshakeStep): Uint8Array {
  return toBinary(LinkMessageSchema, create(LinkMessageSchema, { handshake: toWire(step) }))
}

/** The bytes of a greeting, as the proofs are computed over them. */
export function encodeGreeting(greeting: Greeting): Uint8Array {
  return toBinary(HelloSchema, create(HelloSchema, greeting))
}

/** Errors: DecodeError for anything that is not a handshake message. */
export function decodeHandshake(bytes: Uint8Array): HandshakeStep {
  let message: ReturnType<typeof parse>
  try {
    message = parse(bytes)
  } catch (thrown) {
    throw new DecodeError(
      `not a peer message: ${thrown instanceof Error ? thrown.message : thrown}`
    )
  }
  const step = message.handshake?.step
  switch (step?.case) {
    case 'hello':
      return { step: 'hello', greeting: greetingFrom(step.value) }
    case 'welcome':
      if (step.value.hello === undefined) throw new DecodeError('a welcome without a greeting')
      return { step: 'welcome', greeting: greetingFrom(step.value.hello), proof: step.value.proof }
    case 'proof':
      return { step: 'proof', proof: step.value.proof }
    case 'accepted':
      return { step: 'accepted' }
    case 'refused':
      return { step: 'refused', code: step.value.code, detail: step.value.detail }
    default:
      throw new DecodeError('a message that is not part of a handshake')
  }
}

function parse(bytes: Uint8Array) {
  return fromBinary(LinkMessageSchema, bytes)
}

// Whoever sends a greeting has proven nothing yet, and what it says of itself is repeated in refusals and logs.
const greetingTextMax = 256
const greetingBytesMax = 64

function greetingFrom(hello: Hello): Greeting {
  const { protocolVersion, clusterName, partitions, nodeId, release, nonce, process } = hello
  for (const text of [clusterName, nodeId, release]) {
    if (text.length > greetingTextMax) throw new DecodeError('a greeting with far too long a name')
  }
  for (const bytes of [nonce, process]) {
    if (bytes.length > greetingBytesMax) throw new DecodeError('a greeting with too many bytes')
  }
  return { protocolVersion, clusterName, partitions, nodeId, release, nonce, process }
}

function toWire(step: HandshakeStep): Handshake {
  switch (step.step) {
    case 'hello':
      return create(HandshakeSchema, { step: { case: 'hello', value: step.greeting } })
    case 'welcome': {
      const value = { hello: step.greeting, proof: step.proof }
      return create(HandshakeSchema, { step: { case: 'welcome', value } })
    }
    case 'proof':
      return create(HandshakeSchema, { step: { case: 'proof', value: { proof: step.proof } } })
    case 'accepted':
      return create(HandshakeSchema, { step: { case: 'accepted', value: {} } })
    case 'refused': {
      const value = { code: step.code, detail: step.detail }
      return create(HandshakeSchema, { step: { case: 'refused', value } })
    }
  }
}
