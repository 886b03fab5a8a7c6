import { toHex } from '../../core/bytes.ts'
import type { RandomSource } from '../../core/ports.ts'
import { type ClusterKeys, deriveKeys } from '../../core/secrets.ts'
import { decodeHandshake, encodeGreeting, type Greeting } from '../../proto/handshake-codec.ts'
import {
  AcceptorHandshake,
  type AcceptorHandshakeOptions,
  DialerHandshake,
  type HandshakeOptions,
  type HandshakeOutcome
} from '../../server/peer/handshake.ts'
import { type FuzzTarget, mustHold, type Verdict } from './fuzz-target.ts'
import { mutateMessages, packMessages, unpackMessages } from './message-list.ts'

/** Nonces that every run draws again, so that a conversation can be recorded once and spoilt many times. */
function fixedRandom(byte: number): RandomSource {
  return { bytes: (length) => Buffer.alloc(length, byte), fraction: () => 0.5 }
}

const clusterName = 'fuzzed'
const keys = await deriveKeys(clusterName, 'secret')
const otherKeys = await deriveKeys(clusterName, 'another secret')

interface Who {
  readonly nodeId: string
  readonly nonce: number
  readonly keys?: ClusterKeys
  readonly clusterName?: string
  readonly partitions?: number
}

function optionsOf({ nodeId, nonce, ...rest }: Who): HandshakeOptions {
  const self = {
    clusterName: rest.clusterName ?? clusterName,
    partitions: rest.partitions ?? 256,
    nodeId,
    release: '1.2.3',
    process: Buffer.alloc(16, nonce)
  }
  return { self, keys: rest.keys ?? keys, random: fixedRandom(nonce) }
}

const self: Who = { nodeId: 'self', nonce: 1 }
const selfOptions = optionsOf(self)

/** The accepting node of all targets. */
export const acceptorOptions: AcceptorHandshakeOptions = {
  ...selfOptions,
  isOwnNonce: (nonce) => nonce.length === 16 && nonce.every((byte) => byte === 1),
  isTaken: (nodeId) => nodeId === 'taken'
}
/** The dialing node of all targets. */
export const dialerOptions: HandshakeOptions = selfOptions

const peers: readonly Who[] = ['a', 'b', 'node-3', 'x'.repeat(64)].map((nodeId, index) => {
  return { nodeId, nonce: 2 + index }
})
// An acceptor refuses this one because of others of its name; to a dialer it is a peer like any.
const takenId: Who = { nodeId: 'taken', nonce: 23 }
const strangers: readonly Who[] = [
  { nodeId: 'a', nonce: 20, keys: otherKeys },
  { nodeId: 'a', nonce: 21, clusterName: 'other' },
  { nodeId: 'a', nonce: 22, partitions: 64 },
  takenId,
  self
]

interface Conversation {
  /** What the dialer sent, and what the acceptor did. */
  readonly dialed: readonly Uint8Array[]
  readonly accepted: readonly Uint8Array[]
}

function converse(dialerOf: HandshakeOptions, acceptorOf: AcceptorHandshakeOptions): Conversation {
  const dialer = new DialerHandshake(dialerOf)
  const acceptor = new AcceptorHandshake(acceptorOf)
  const dialed: Uint8Array[] = [dialer.start()]
  const accepted: Uint8Array[] = []
  for (let turn = 0; turn < dialed.length; turn++) {
    const answer = acceptor.receive(dialed[turn] ?? Buffer.alloc(0))
    if (answer.send === null) break
    accepted.push(answer.send)
    const next = dialer.receive(answer.send)
    if (next.send !== null) dialed.push(next.send)
  }
  return { dialed, accepted }
}

/** What a dialer with the secret says to the acceptor of all targets. */
export function dialedBy(peer: number): readonly Uint8Array[] {
  return converse(optionsOf(peers[peer] ?? self), acceptorOptions).dialed
}

/** What an acceptor with the secret answers to the dialer of all targets. */
export function answeredBy(peer: number): readonly Uint8Array[] {
  const options = optionsOf(peers[peer] ?? self)
  return converse(dialerOptions, { ...options, isOwnNonce: () => false, isTaken: () => false })
    .accepted
}

const detailCharactersMax = 1000

function checkOutcome(outcome: HandshakeOutcome): void {
  if (outcome.send !== null) {
    const { step } = decodeHandshake(outcome.send)
    mustHold((outcome.kind === 'refused') === (step === 'refused'), 'who refuses says so')
  }
  if (outcome.kind !== 'refused') return
  mustHold(outcome.detail !== '' || outcome.send === null, 'a refusal says why')
  mustHold(outcome.detail.length <= detailCharactersMax, 'a refusal does not repeat all that came')
}

/** Feeds messages until the handshake is over. */
function play(
  handshake: { receive(message: Uint8Array): HandshakeOutcome },
  messages: readonly Buffer[]
): Greeting | null {
  for (const message of messages) {
    const outcome = handshake.receive(message)
    checkOutcome(outcome)
    if (outcome.kind === 'ready') {
      mustHold(outcome.peer !== null, 'nobody gets through without a greeting')
      return outcome.peer
    }
    if (outcome.kind === 'refused') return null
  }
  return null
}

const idOf = (greeting: Greeting): string => toHex(encodeGreeting(greeting))
const greetingsOfPeers = new Set(
  [...peers, takenId].map((peer) => idOf(new DialerHandshake(optionsOf(peer)).greeting))
)

/**
 * Whoever gets through has made the proof over just this greeting: the spoilt conversations contain the proofs of real
 * peers, so a greeting that no peer has is one that was taken without its proof.
 */
function verdictOn(peer: Greeting | null): Verdict {
  if (peer === null) return 'refused'
  mustHold(greetingsOfPeers.has(idOf(peer)), 'nobody gets through with a greeting that was altered')
  return 'accepted'
}

export function acceptorHandshakeTarget(): FuzzTarget {
  const corpus = peers.map((_, index) => packMessages(dialedBy(index)))
  const others = strangers.map((who) =>
    packMessages(converse(optionsOf(who), acceptorOptions).dialed)
  )
  const echoes = peers.map((_, index) => packMessages(answeredBy(index)))
  const run = (input: Buffer): Verdict =>
    verdictOn(play(new AcceptorHandshake(acceptorOptions), unpackMessages(input)))
  const donors = [...others, ...echoes]
  return { name: 'acceptor-handshake', corpus, donors, mutate: mutateMessages, run }
}

export function dialerHandshakeTarget(): FuzzTarget {
  const corpus = peers.map((_, index) => packMessages(answeredBy(index)))
  const others = strangers.map((who) => {
    const acceptor = { ...optionsOf(who), isOwnNonce: () => false, isTaken: () => false }
    return packMessages(converse(dialerOptions, acceptor).accepted)
  })
  const echoes = peers.map((_, index) => packMessages(dialedBy(index)))
  const run = (input: Buffer): Verdict =>
    verdictOn(play(new DialerHandshake(dialerOptions), unpackMessages(input)))
  const donors = [...others, ...echoes]
  return { name: 'dialer-handshake', corpus, donors, mutate: mutateMessages, run }
}
