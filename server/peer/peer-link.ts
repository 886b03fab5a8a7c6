import { DecodeError } from '../../core/errors.ts'
import { linkRequestsInFlightMax } from '../../core/limits.ts'
import type {
  Channel,
  Clock,
  Connection,
  RandomSource,
  TimerHandle,
  Timers,
  Transport
} from '../../core/ports.ts'
import { decodeLinkMessage, encodeFrame } from '../../proto/frame-codec.ts'
import type { Failure, Frame, Request, Response } from '../../proto/frames.ts'
import type { Greeting } from '../../proto/handshake-codec.ts'
import { FrameSender } from './frame-sender.ts'
import { DialerHandshake, type HandshakeOptions, type RefusalCode } from './handshake.ts'
import { PendingRequests } from './pending-requests.ts'

/** How a request ended that no response came for. `lost` and `timeout`: it may or may not have been carried out. */
export interface NoResponse {
  readonly kind: 'noResponse'
  readonly reason: 'unreachable' | 'lost' | 'timeout' | 'overloaded'
}

/** A response, or why there is none. */
export type Outcome = Exclude<Response, Failure> | Failure | NoResponse

export interface PeerLinkOptions {
  readonly address: string
  readonly channel: Channel
  readonly transport: Transport
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  readonly handshake: HandshakeOptions
  /** The epoch that requests are sent under. */
  readonly epoch: () => string
  readonly events: PeerLinkEvents
}

export interface PeerLinkEvents {
  /** A hello with this nonce is about to be sent. */
  onDialing(nonce: Uint8Array): void
  onReady(link: PeerLink, peer: Greeting): void
  /** Something arrived: the peer is alive. */
  onHeard(link: PeerLink): void
  onDown(link: PeerLink, reason: string): void
  onRefused(link: PeerLink, code: RefusalCode, detail: string): void
}

interface Pending {
  readonly deadlineMs: number
  readonly callback: (outcome: Outcome) => void
}

type LinkState =
  | { readonly kind: 'waiting'; readonly timer: TimerHandle | null }
  | {
      readonly kind: 'handshaking'
      readonly connection: Connection
      readonly handshake: DialerHandshake
      readonly timer: TimerHandle
    }
  | {
      readonly kind: 'ready'
      readonly connection: Connection
      readonly sender: FrameSender
      readonly peer: Greeting
    }
  | { readonly kind: 'closed' }

const backoffMinMs = 100
const backoffMaxMs = 2000
const failuresOfLongestBackoff = Math.ceil(Math.log2(backoffMaxMs / backoffMinMs))
const handshakeTimeoutMs = 5000
/** Deadlines are coarse: those that are close together are met together. */
const sweepMsMin = 25

/**
 * The requesting half of the link to one peer: dials, proves the cluster secret, and multiplexes requests by id. Every
 * request ends with exactly one outcome, by its deadline at the latest.
 */
export class PeerLink {
  readonly #options: PeerLinkOptions
  readonly #pending = new PendingRequests<Pending>()
  #state: LinkState = { kind: 'waiting', timer: null }
  #nextId = 1
  #failures = 0
  #sweepTimer: TimerHandle | null = null
  #sweepAtMs = Number.POSITIVE_INFINITY
  #refused = false

  constructor(options: PeerLinkOptions) {
    this.#options = options
  }

  get address(): string {
    return this.#options.address
  }

  get channel(): Channel {
    return this.#options.channel
  }

  get isReady(): boolean {
    return this.#state.kind === 'ready'
  }

  /** The node at the other end, once it has proven who it is. */
  get peerId(): string | null {
    return this.#state.kind === 'ready' ? this.#state.peer.nodeId : null
  }

  /** The process at the other end, as it names itself; null while there is none. */
  get peerProcess(): Uint8Array | null {
    return this.#state.kind === 'ready' ? this.#state.peer.process : null
  }

  get inFlight(): number {
    return this.#pending.size
  }

  start(): void {
    if (this.#state.kind === 'waiting' && this.#state.timer === null) this.#dial()
  }

  /** Dials now instead of at the end of the backoff: there is news that the peer is there. */
  hurry(): void {
    if (this.#state.kind !== 'waiting' || this.#state.timer === null) return
    this.#options.timers.clear(this.#state.timer)
    this.#dial()
  }

  /** Ends a connection that is of no use, and dials again as late as after many failures. */
  giveUp(reason: string): void {
    this.#failures = failuresOfLongestBackoff
    this.#abandon(reason)
  }

  request(body: Request, timeoutMs: number, callback: (outcome: Outcome) => void): void {
    const state = this.#state
    if (state.kind !== 'ready') {
      callback({ kind: 'noResponse', reason: 'unreachable' })
      return
    }
    if (this.#pending.size >= linkRequestsInFlightMax || state.sender.isOverfull) {
      callback({ kind: 'noResponse', reason: 'overloaded' })
      return
    }
    const id = this.#nextId++
    const deadlineMs = this.#options.clock.monotonic() + timeoutMs
    this.#pending.set(id, { deadlineMs, callback })
    this.#sweepBy(deadlineMs)
    state.sender.send(encodeFrame({ id, epoch: this.#options.epoch(), body }))
  }

  /** Ends the link for good; what is in flight ends as `lost`. */
  close(reason: string): void {
    const state = this.#state
    this.#state = { kind: 'closed' }
    if (state.kind === 'waiting' && state.timer !== null) this.#options.timers.clear(state.timer)
    if (state.kind === 'handshaking') this.#options.timers.clear(state.timer)
    if (state.kind === 'handshaking' || state.kind === 'ready') state.connection.close(reason)
    this.#clearSweepTimer()
    this.#loseAll()
  }

  #dial(): void {
    const { transport, address, channel, timers, events } = this.#options
    const handshake = new DialerHandshake(this.#options.handshake)
    events.onDialing(handshake.greeting.nonce)
    this.#refused = false
    const connection = transport.dial(address, channel, {
      onOpen: () => connection.send(handshake.start()),
      onMessage: (message) => this.#receive(message),
      onDrain: () => {
        if (this.#state.kind === 'ready') this.#state.sender.drained()
      },
      onClose: (reason) => this.#closed(connection, reason)
    })
    const timer = timers.set(() => this.#abandon('the handshake took too long'), handshakeTimeoutMs)
    this.#state = { kind: 'handshaking', connection, handshake, timer }
  }

  #receive(message: Uint8Array): void {
    const state = this.#state
    if (state.kind === 'handshaking') this.#shakeHands(state.connection, state.handshake, message)
    else if (state.kind === 'ready') this.#receiveFrames(message)
  }

  #shakeHands(connection: Connection, handshake: DialerHandshake, message: Uint8Array): void {
    if (this.#refused) return
    const outcome = handshake.receive(message)
    if (outcome.send !== null) connection.send(outcome.send)
    if (outcome.kind === 'ready') {
      this.#clearHandshakeTimer()
      const sender = new FrameSender(connection, this.#options.timers)
      this.#state = { kind: 'ready', connection, sender, peer: outcome.peer }
      this.#failures = 0
      this.#options.events.onReady(this, outcome.peer)
    } else if (outcome.kind === 'refused') {
      this.#options.events.onRefused(this, outcome.code, outcome.detail)
      // A close may overtake what was sent last: who is told of a refusal closes, who tells waits.
      if (outcome.send === null) this.#abandon(outcome.detail)
      else this.#refused = true
    }
  }

  #receiveFrames(message: Uint8Array): void {
    this.#options.events.onHeard(this)
    let frames: Frame[]
    try {
      frames = decodeLinkMessage(message)
    } catch (thrown) {
      if (!(thrown instanceof DecodeError)) throw thrown
      this.#abandon(`the peer sent what cannot be read: ${thrown.message}`)
      return
    }
    for (const frame of frames) this.#settle(frame)
  }

  // A response to nothing in flight came late or twice, and is left alone.
  #settle({ id, body }: Frame): void {
    const pending = this.#pending.take(id)
    if (pending === undefined) return
    pending.callback(isResponse(body) ? body : { kind: 'noResponse', reason: 'lost' })
  }

  #abandon(reason: string): void {
    const state = this.#state
    if (state.kind !== 'handshaking' && state.kind !== 'ready') return
    state.connection.close(reason)
    this.#closed(state.connection, reason)
  }

  #closed(connection: Connection, reason: string): void {
    const state = this.#state
    if (state.kind !== 'handshaking' && state.kind !== 'ready') return
    if (state.connection !== connection) return
    this.#clearHandshakeTimer()
    const { timers, random, events } = this.#options
    const backoffMs = Math.min(backoffMaxMs, backoffMinMs * 2 ** this.#failures++)
    const timer = timers.set(() => this.#dial(), backoffMs * (0.5 + random.fraction() / 2))
    this.#state = { kind: 'waiting', timer }
    this.#loseAll()
    events.onDown(this, reason)
  }

  #clearHandshakeTimer(): void {
    if (this.#state.kind === 'handshaking') this.#options.timers.clear(this.#state.timer)
  }

  #loseAll(): void {
    const lost = this.#pending.entries()
    this.#pending.clear()
    for (const [, { callback }] of lost) callback({ kind: 'noResponse', reason: 'lost' })
  }

  // One timer serves all deadlines of the link, set for the first of them: most requests never meet theirs.
  #sweepBy(deadlineMs: number): void {
    if (deadlineMs >= this.#sweepAtMs) return
    const { clock, timers } = this.#options
    const nowMs = clock.monotonic()
    const sweepAtMs = Math.max(deadlineMs, nowMs + sweepMsMin)
    if (sweepAtMs >= this.#sweepAtMs) return
    this.#clearSweepTimer()
    this.#sweepAtMs = sweepAtMs
    this.#sweepTimer = timers.set(() => this.#sweep(), sweepAtMs - nowMs)
  }

  #sweep(): void {
    this.#clearSweepTimer()
    const nowMs = this.#options.clock.monotonic()
    let firstMs = Number.POSITIVE_INFINITY
    for (const [id, pending] of this.#pending.entries()) {
      if (pending.deadlineMs > nowMs) {
        firstMs = Math.min(firstMs, pending.deadlineMs)
        continue
      }
      // A callback may have ended the link, and with it all requests.
      if (this.#pending.take(id) !== undefined) {
        pending.callback({ kind: 'noResponse', reason: 'timeout' })
      }
    }
    this.#sweepBy(firstMs)
  }

  #clearSweepTimer(): void {
    if (this.#sweepTimer !== null) this.#options.timers.clear(this.#sweepTimer)
    this.#sweepTimer = null
    this.#sweepAtMs = Number.POSITIVE_INFINITY
  }
}

const requestKinds: ReadonlySet<string> = new Set<Request['kind']>([
  'ping',
  'read',
  'replicate',
  'storeHint',
  'reconcile',
  'coordinate',
  'inspect',
  'listKeys',
  'gossip',
  'consult',
  'report',
  'survey'
])

function isResponse(body: Request | Response): body is Response {
  return !requestKinds.has(body.kind)
}

export function isRequest(body: Request | Response): body is Request {
  return requestKinds.has(body.kind)
}
