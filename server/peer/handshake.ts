import { ByteWriter, equalBytes } from '../../core/bytes.ts'
import { DecodeError } from '../../core/errors.ts'
import type { RandomSource } from '../../core/ports.ts'
import type { ClusterKeys } from '../../core/secrets.ts'
import {
  decodeHandshake,
  encodeGreeting,
  encodeHandshake,
  type Greeting,
  type HandshakeStep
} from '../../proto/handshake-codec.ts'

const protocolVersion = 1
const nonceBytes = 16

/** What a node says of itself to every peer. */
export interface SelfDescription {
  readonly clusterName: string
  readonly partitions: number
  readonly nodeId: string
  readonly release: string
  /** Random, drawn once a process. */
  readonly process: Uint8Array
}

export interface HandshakeOptions {
  readonly self: SelfDescription
  readonly keys: ClusterKeys
  readonly random: RandomSource
}

/** What to do after a handshake message: `send` goes out first, where there is one. */
export type HandshakeOutcome =
  | { readonly kind: 'continue'; readonly send: Uint8Array }
  | { readonly kind: 'ready'; readonly send: Uint8Array | null; readonly peer: Greeting }
  | {
      readonly kind: 'refused'
      readonly send: Uint8Array | null
      readonly code: RefusalCode
      readonly detail: string
    }

export type RefusalCode =
  | 'protocol'
  | 'cluster_name'
  | 'partitions'
  | 'secret'
  | 'same_id'
  | 'itself'
  | 'malformed'

type Roles = 'dialer' | 'acceptor'

/**
 * The dialing side: Hello, then the acceptor's proof is checked before this side proves anything itself. Neither side
 * acts on any other message before both know that the other has the cluster secret.
 */
export class DialerHandshake {
  readonly #options: HandshakeOptions
  readonly greeting: Greeting
  #peer: Greeting | null = null

  constructor(options: HandshakeOptions) {
    this.#options = options
    this.greeting = greet(options)
  }

  start(): Uint8Array {
    return encodeHandshake({ step: 'hello', greeting: this.greeting })
  }

  receive(message: Uint8Array): HandshakeOutcome {
    const step = decode(message)
    if (step === null) return refuse('malformed', 'the peer does not speak this protocol')
    if (step.step === 'refused') return refusedByPeer(step.code, step.detail)
    if (step.step === 'welcome' && this.#peer === null) {
      return this.#welcomed(step.greeting, step.proof)
    }
    if (step.step === 'accepted' && this.#peer !== null) {
      return { kind: 'ready', send: null, peer: this.#peer }
    }
    return refuse('malformed', `${step.step} is out of order in a handshake`)
  }

  #welcomed(peer: Greeting, theirProof: Uint8Array): HandshakeOutcome {
    const refusal = disagreement(this.#options.self, peer)
    if (refusal !== null) return refusal
    const { keys } = this.#options
    if (!equalBytes(theirProof, prove(keys, 'acceptor', this.greeting, peer))) {
      return refuse(
        'secret',
        `the secret of node ${peer.nodeId} is not the secret of node ${this.#options.self.nodeId}: give both the same cluster.secret`
      )
    }
    this.#peer = peer
    const proof = prove(keys, 'dialer', this.greeting, peer)
    return { kind: 'continue', send: encodeHandshake({ step: 'proof', proof }) }
  }
}

export interface AcceptorHandshakeOptions extends HandshakeOptions {
  /** Whether a greeting's nonce was sent by this very process, which then has dialed itself. */
  isOwnNonce(nonce: Uint8Array): boolean
  /** Whether another process that goes by this id is up. */
  isTaken(nodeId: string, process: Uint8Array): boolean
}

/** The accepting side: answers a Hello with its own greeting and proof, then checks the dialer's proof. */
export class AcceptorHandshake {
  readonly #options: AcceptorHandshakeOptions
  readonly #greeting: Greeting
  #peer: Greeting | null = null

  constructor(options: AcceptorHandshakeOptions) {
    this.#options = options
    this.#greeting = greet(options)
  }

  receive(message: Uint8Array): HandshakeOutcome {
    const step = decode(message)
    if (step === null) return refuse('malformed', 'the peer does not speak this protocol')
    if (step.step === 'refused') return refusedByPeer(step.code, step.detail)
    if (step.step === 'hello' && this.#peer === null) return this.#greeted(step.greeting)
    if (step.step === 'proof' && this.#peer !== null) return this.#proven(this.#peer, step.proof)
    return refuse('malformed', `${step.step} is out of order in a handshake`)
  }

  #greeted(peer: Greeting): HandshakeOutcome {
    const { self, keys } = this.#options
    if (this.#options.isOwnNonce(peer.nonce)) return refuse('itself', 'a node has dialed itself')
    const refusal = disagreement(self, peer)
    if (refusal !== null) return refusal
    if (this.#options.isTaken(peer.nodeId, peer.process)) return sameId(peer.nodeId)
    this.#peer = peer
    const proof = prove(keys, 'acceptor', peer, this.#greeting)
    return {
      kind: 'continue',
      send: encodeHandshake({ step: 'welcome', greeting: this.#greeting, proof })
    }
  }

  #proven(peer: Greeting, theirProof: Uint8Array): HandshakeOutcome {
    const { self, keys } = this.#options
    if (!equalBytes(theirProof, prove(keys, 'dialer', peer, this.#greeting))) {
      return refuse(
        'secret',
        `the secret of node ${peer.nodeId} is not the secret of node ${self.nodeId}: give both the same cluster.secret`
      )
    }
    return { kind: 'ready', send: encodeHandshake({ step: 'accepted' }), peer }
  }
}

function greet({ self, random }: HandshakeOptions): Greeting {
  return { ...self, protocolVersion, nonce: random.bytes(nonceBytes) }
}

function disagreement(self: SelfDescription, peer: Greeting): HandshakeOutcome | null {
  if (peer.protocolVersion !== protocolVersion) {
    return refuse(
      'protocol',
      `node ${peer.nodeId} speaks version ${peer.protocolVersion} of the peer protocol, node ${self.nodeId} version ${protocolVersion}: run the same release on both`
    )
  }
  if (peer.clusterName !== self.clusterName) {
    return refuse(
      'cluster_name',
      `node ${peer.nodeId} belongs to the cluster "${peer.clusterName}", node ${self.nodeId} to "${self.clusterName}": check cluster.name and the seeds`
    )
  }
  if (peer.partitions !== self.partitions) {
    return refuse(
      'partitions',
      `node ${peer.nodeId} has cluster.partitions ${peer.partitions}, node ${self.nodeId} has ${self.partitions}: the number is fixed when a cluster is created and must be the same everywhere`
    )
  }
  return peer.nodeId === self.nodeId ? sameId(self.nodeId) : null
}

function sameId(id: string): HandshakeOutcome {
  return refuse('same_id', `there are two nodes with the id ${id}: give each an id of its own`)
}

function prove(keys: ClusterKeys, role: Roles, dialer: Greeting, acceptor: Greeting): Uint8Array {
  const writer = new ByteWriter()
  writer.string(role)
  writer.lengthPrefixed(encodeGreeting(dialer)).lengthPrefixed(encodeGreeting(acceptor))
  return keys.handshake(writer.finish())
}

function refuse(code: RefusalCode, detail: string): HandshakeOutcome {
  return { kind: 'refused', code, detail, send: encodeHandshake({ step: 'refused', code, detail }) }
}

const refusalCodes: ReadonlySet<string> = new Set<RefusalCode>([
  'protocol',
  'cluster_name',
  'partitions',
  'secret',
  'same_id',
  'itself',
  'malformed'
])

function refusedByPeer(code: string, detail: string): HandshakeOutcome {
  const known = refusalCodes.has(code) ? (code as RefusalCode) : 'malformed'
  return { kind: 'refused', code: known, detail: detail.slice(0, 500), send: null }
}

function decode(message: Uint8Array): HandshakeStep | null {
  try {
    return decodeHandshake(message)
  } catch (thrown) {
    if (thrown instanceof DecodeError) return null
    throw thrown
  }
}
