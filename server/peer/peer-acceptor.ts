import { DecodeError } from '../../core/errors.ts'
import { linkRequestsInFlightMax } from '../../core/limits.ts'
import type {
  Channel,
  Connection,
  ConnectionEvents,
  TimerHandle,
  Timers
} from '../../core/ports.ts'
import { decodeLinkMessage, encodeFrame } from '../../proto/frame-codec.ts'
import type { Frame, Request, Response } from '../../proto/frames.ts'
import type { Greeting } from '../../proto/handshake-codec.ts'
import { FrameSender } from './frame-sender.ts'
import { AcceptorHandshake, type AcceptorHandshakeOptions, type RefusalCode } from './handshake.ts'
import { isRequest } from './peer-link.ts'
import { RecentIds } from './recent-ids.ts'

/** Who asks, and by which member set. */
export interface RequestOrigin {
  readonly nodeId: string
  readonly epoch: string
  readonly channel: Channel
}

/** Carries a request out and responds exactly once, at once or later. */
export type RequestHandler = (
  request: Request,
  origin: RequestOrigin,
  respond: (response: Response) => void
) => void

export interface PeerAcceptorOptions {
  readonly handshake: AcceptorHandshakeOptions
  readonly timers: Timers
  /** The epoch that responses are sent under. */
  readonly epoch: () => string
  readonly handle: RequestHandler
  readonly onHeard: (nodeId: string) => void
  /** The peer has proven who it is. Called before anything of it is handled. */
  readonly onReady: (nodeId: string, channel: Channel) => void
  /** A connection that was ready is gone. */
  readonly onGone: (nodeId: string, channel: Channel) => void
  readonly onRefused: (remote: string, code: RefusalCode, detail: string) => void
}

const handshakeTimeoutMs = 5000
const overfull: Response = {
  kind: 'failure',
  code: 'overloaded',
  message: 'earlier responses wait for the peer to take them',
  details: ''
}

/**
 * The answering half of a link, one for each accepted connection. Nothing is handled before the peer has proven that
 * it knows the cluster secret.
 */
export class PeerAcceptor implements ConnectionEvents {
  readonly #options: PeerAcceptorOptions
  readonly #connection: Connection
  readonly #handshake: AcceptorHandshake
  readonly #sender: FrameSender
  readonly #timer: TimerHandle
  readonly #recentIds = new RecentIds()
  #peer: Greeting | null = null
  #inFlight = 0
  #closed = false
  #refused = false

  constructor(connection: Connection, options: PeerAcceptorOptions) {
    this.#options = options
    this.#connection = connection
    this.#handshake = new AcceptorHandshake(options.handshake)
    this.#sender = new FrameSender(connection, options.timers)
    this.#timer = options.timers.set(
      () => connection.close('the handshake took too long'),
      handshakeTimeoutMs
    )
  }

  onOpen(): void {}

  onMessage(message: Uint8Array): void {
    if (this.#peer === null) this.#shakeHands(message)
    else this.#receiveFrames(this.#peer, message)
  }

  onDrain(): void {
    this.#sender.drained()
  }

  onClose(): void {
    this.#closed = true
    this.#options.timers.clear(this.#timer)
    if (this.#peer !== null) this.#options.onGone(this.#peer.nodeId, this.#connection.channel)
  }

  #shakeHands(message: Uint8Array): void {
    if (this.#refused) return
    const outcome = this.#handshake.receive(message)
    if (outcome.send !== null) this.#connection.send(outcome.send)
    if (outcome.kind === 'ready') {
      this.#options.timers.clear(this.#timer)
      this.#peer = outcome.peer
      this.#options.onReady(outcome.peer.nodeId, this.#connection.channel)
    } else if (outcome.kind === 'refused') {
      this.#options.onRefused(this.#connection.remote, outcome.code, outcome.detail)
      // A close may overtake what was sent last: who is told of a refusal closes, who tells waits.
      if (outcome.send === null) this.#connection.close(outcome.detail)
      else this.#refused = true
    }
  }

  #receiveFrames(peer: Greeting, message: Uint8Array): void {
    let frames: Frame[]
    try {
      frames = decodeLinkMessage(message)
    } catch (thrown) {
      if (!(thrown instanceof DecodeError)) throw thrown
      this.#connection.close(`what cannot be read: ${thrown.message}`)
      return
    }
    this.#options.onHeard(peer.nodeId)
    for (const { id, epoch, body } of frames) {
      if (isRequest(body)) this.#handle(peer, id, epoch, body)
    }
  }

  #handle(peer: Greeting, id: number, epoch: string, request: Request): void {
    if (this.#recentIds.seen(id)) return
    // The other side keeps to its own limit, but gives up and asks again where responses do not get through to it.
    if (this.#inFlight + this.#sender.waitingFrames >= 2 * linkRequestsInFlightMax) {
      this.#connection.close('more requests in flight than the protocol allows')
      return
    }
    if (this.#sender.isOverfull) {
      this.#respond(id, overfull)
      return
    }
    this.#inFlight++
    const { channel } = this.#connection
    this.#options.handle(request, { nodeId: peer.nodeId, epoch, channel }, (response) => {
      this.#inFlight--
      if (!this.#closed) this.#respond(id, response)
    })
  }

  #respond(id: number, body: Response): void {
    this.#sender.send(encodeFrame({ id, epoch: this.#options.epoch(), body }))
  }
}
