import fc from 'fast-check'
import { AnnealError, DecodeError } from '../../core/errors.ts'
import type { Connection, ConnectionEvents, Timers, Transport } from '../../core/ports.ts'
import { decodeLinkMessage, encodeFrame, encodeLinkMessage } from '../../proto/frame-codec.ts'
import type { Frame, Request, Response } from '../../proto/frames.ts'
import { PeerAcceptor, type RequestHandler } from '../../server/peer/peer-acceptor.ts'
import { isRequest, type Outcome, PeerLink } from '../../server/peer/peer-link.ts'
import { recentIdsMax } from '../../server/peer/recent-ids.ts'
import { decodeForeignObject } from '../../storage/object-codec.ts'
import { coldBodies, framesOf, hotBodies } from '../proto/bodies.ts'
import { attempt, type FuzzTarget, mustHold, type Verdict } from './fuzz-target.ts'
import { acceptorOptions, answeredBy, dialedBy, dialerOptions } from './handshake-targets.ts'
import { mutateMessages, packMessages, unpackMessages } from './message-list.ts'
import { mostlySmall, sample } from './samples.ts'

/** Timers that never fire, but for the ends of turns. */
class Turns implements Timers {
  #ends: (() => void)[] = []

  set(): object {
    return {}
  }

  clear(): void {}

  atEndOfTurn(callback: () => void): void {
    this.#ends.push(callback)
  }

  end(): void {
    for (const callback of this.#ends.splice(0)) callback()
  }
}

class RecordedConnection implements Connection {
  readonly channel = 'small'
  readonly remote = 'fuzzer'
  readonly sent: Uint8Array[] = []
  closedBecause: string | null = null

  send(message: Uint8Array): boolean {
    this.sent.push(message)
    return true
  }

  close(reason: string): void {
    this.closedBecause ??= reason
  }

  taken(): readonly Uint8Array[] {
    return this.sent.splice(0)
  }
}

const epoch = () => '0123456789abcdef'
const closeCharactersMax = 1200

/** Answers like a node that has nothing and stores nothing. */
const handle: RequestHandler = (request, _origin, respond) => respond(answerTo(request))

function answerTo(request: Request): Response {
  switch (request.kind) {
    case 'ping':
      return { kind: 'pong', documentDigest: request.documentDigest, acceptsWrites: true }
    case 'replicate':
      try {
        decodeForeignObject(request.object)
        return { kind: 'acknowledged', quarantined: new Uint8Array() }
      } catch (thrown) {
        if (!(thrown instanceof DecodeError)) throw thrown
        return { kind: 'failure', code: 'bad_request', message: thrown.message, details: '' }
      }
    case 'gossip':
      if (request.document !== null) return { kind: 'gossiped', document: request.document }
      break
    default:
  }
  const { code, message } = new AnnealError('not_ready', `no ${request.kind} here`)
  return { kind: 'failure', code, message, details: '' }
}

function conversations(seed: string, bodies: fc.Arbitrary<Request | Response>): readonly Buffer[] {
  const ids = fc.integer({ min: 1, max: 6 })
  const frames = fc
    .tuple(framesOf(bodies), ids, fc.boolean())
    .map(([frame, id, isLow]): Frame => (isLow ? { ...frame, id } : frame))
  const messages = fc
    .array(frames, { maxLength: 3 })
    .map((all) => encodeLinkMessage(all.map(encodeFrame)))
  const lists = fc.array(messages, { minLength: 1, maxLength: 3 })
  return mostlySmall(sample(lists, seed, 200).map(packMessages))
}

/** The accepting half of a link, once a peer has proven who it is and then sends whatever it likes. */
export function peerAcceptorTarget(seed: string): FuzzTarget {
  const corpus = conversations(seed, fc.oneof(hotBodies, coldBodies))
  const hello = dialedBy(0)
  const donors = [packMessages(hello), packMessages(answeredBy(0))]
  const run = (input: Buffer): Verdict => {
    const connection = new RecordedConnection()
    const turns = new Turns()
    let ready = false
    const acceptor = new PeerAcceptor(connection, {
      handshake: acceptorOptions,
      timers: turns,
      epoch,
      handle,
      onHeard: () => {},
      onReady: () => {
        ready = true
      },
      onGone: () => {},
      onRefused: () => {}
    })
    for (const message of hello) acceptor.onMessage(message)
    mustHold(ready, 'a peer with the secret gets through')
    connection.taken()
    const seen: SeenIds = { answered: new Set(), highest: 0 }
    for (const message of unpackMessages(input)) {
      acceptor.onMessage(message)
      turns.end()
      const verdict = checkAnswers(connection, message, seen)
      if (verdict === 'refused') return verdict
    }
    acceptor.onClose()
    return 'accepted'
  }
  return { name: 'peer-acceptor', corpus, donors, mutate: mutateMessages, run }
}

interface SeenIds {
  readonly answered: Set<number>
  highest: number
}

/**
 * What cannot be read closes the connection; of all else every request is answered once, unless its id is so far below
 * the highest that it must be a late copy.
 */
function checkAnswers(connection: RecordedConnection, message: Buffer, seen: SeenIds): Verdict {
  const frames = attempt(() => decodeLinkMessage(message), 'decode error')
  const { closedBecause } = connection
  mustHold(frames.ok === (closedBecause === null), 'what cannot be read, and that alone, closes')
  if (!frames.ok) {
    mustHold((closedBecause ?? '').length <= closeCharactersMax, 'a reason to close is short')
    return 'refused'
  }
  const wanted = new Set<number>()
  for (const { id, body } of frames.value) {
    if (!isRequest(body)) continue
    const isLate = id <= seen.highest - recentIdsMax
    if (!isLate && !seen.answered.has(id)) wanted.add(id)
    seen.highest = Math.max(seen.highest, id)
  }
  for (const answer of connection.taken()) {
    for (const { id, body } of decodeLinkMessage(answer)) {
      mustHold(!isRequest(body), 'requests are answered by responses')
      mustHold(wanted.delete(id), 'only requests are answered, and once')
      seen.answered.add(id)
    }
  }
  // No request has the id 0, which counts as one that was seen before.
  wanted.delete(0)
  mustHold(wanted.size === 0, 'every request is answered')
  return 'accepted'
}

const requestsInFlight = 6

/** The dialing half of a link with requests in flight, and a peer that answers whatever it likes. */
export function peerLinkTarget(seed: string): FuzzTarget {
  const corpus = conversations(seed, fc.oneof(hotBodies, coldBodies))
  const welcome = answeredBy(0)
  const donors = [packMessages(welcome), packMessages(dialedBy(0))]
  const run = (input: Buffer): Verdict => {
    const { link, connection, events } = dial()
    for (const message of welcome) events.onMessage(message)
    mustHold(link.isReady, 'a peer with the secret gets through')
    const outcomes: Outcome[][] = []
    for (let id = 0; id < requestsInFlight; id++) {
      const settled: Outcome[] = []
      outcomes.push(settled)
      link.request({ kind: 'gossip', document: null }, 1000, (outcome) => settled.push(outcome))
    }
    let verdict: Verdict = 'accepted'
    for (const message of unpackMessages(input)) {
      if (connection.closedBecause !== null) break
      const { ok } = attempt(() => decodeLinkMessage(message), 'decode error')
      events.onMessage(message)
      mustHold(
        ok === (connection.closedBecause === null),
        'what cannot be read, and that alone, closes'
      )
      if (!ok) verdict = 'refused'
    }
    mustHold((connection.closedBecause ?? '').length <= closeCharactersMax, 'a reason is short')
    link.close('done')
    for (const settled of outcomes) mustHold(settled.length === 1, 'a request has one outcome')
    return verdict
  }
  return { name: 'peer-link', corpus, donors, mutate: mutateMessages, run }
}

function dial() {
  const connection = new RecordedConnection()
  const dialed: ConnectionEvents[] = []
  const transport: Transport = {
    listen: () => Promise.reject(new Error('nobody listens here')),
    dial: (_address, _channel, events) => {
      dialed.push(events)
      return connection
    }
  }
  const link = new PeerLink({
    address: '127.0.0.1:1',
    channel: 'small',
    transport,
    clock: { now: () => 0, monotonic: () => 0 },
    timers: new Turns(),
    random: dialerOptions.random,
    handshake: dialerOptions,
    epoch,
    events: {
      onDialing: () => {},
      onReady: () => {},
      onHeard: () => {},
      onDown: () => {},
      onRefused: () => {}
    }
  })
  link.start()
  const [events] = dialed
  mustHold(events !== undefined, 'a link that is started dials')
  events.onOpen()
  return { link, connection, events }
}
