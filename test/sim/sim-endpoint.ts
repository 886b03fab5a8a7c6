import type { Channel, Connection, ConnectionEvents } from '../../core/ports.ts'
import type { Parcel, SimWire } from './sim-wire.ts'
import type { VirtualTime } from './virtual-time.ts'

/** One life of a node on the network; it ends with a crash, and then its code is told nothing any more. */
export interface SimHost {
  readonly name: string
  isAlive: boolean
  /** What happened to it during a pause. */
  readonly untold: (() => void)[]
}

/** What an endpoint needs of the network that it is part of. */
export interface EndpointNetwork {
  readonly time: VirtualTime
  readonly messageBytesMax: number
  readonly sendWindowBytes: number
  /** Notes what happened in the trace. */
  note(what: string, endpoint: SimEndpoint, bytes?: Uint8Array): void
  /** How many of `count` parcels that were under way when their sender closed still arrive. */
  survivors(count: number): number
  isLost(): boolean
  isPaused(nodeName: string): boolean
  /** How much later a message arrives a second time; null: it does not. */
  repeatDelayMs(): number | null
  finished(endpoint: SimEndpoint): void
}

// As in the real transport: a queued message costs memory besides its bytes.
const messageOverheadBytes = 256

/** One end of a simulated connection. */
export class SimEndpoint implements Connection {
  readonly name: string
  readonly host: SimHost
  readonly channel: Channel
  readonly remote: string
  readonly #network: EndpointNetwork
  readonly #outgoing: SimWire
  #state: 'connecting' | 'open' | 'closed' = 'connecting'
  #events: ConnectionEvents | null = null
  #peer: SimEndpoint | null = null
  #inFlightBytes = 0
  #isFull = false

  constructor(
    network: EndpointNetwork,
    outgoing: SimWire,
    about: { name: string; host: SimHost; channel: Channel; remote: string }
  ) {
    this.#network = network
    this.#outgoing = outgoing
    this.name = about.name
    this.host = about.host
    this.channel = about.channel
    this.remote = about.remote
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get isConnecting(): boolean {
    return this.#state === 'connecting'
  }

  tell(events: ConnectionEvents): void {
    this.#events = events
  }

  join(peer: SimEndpoint): void {
    this.#peer = peer
    peer.#peer = this
  }

  send(message: Uint8Array): boolean {
    if (this.#state === 'closed' || !this.host.isAlive) return false
    const { messageBytesMax, sendWindowBytes } = this.#network
    if (message.length > messageBytesMax) {
      this.close(
        `a message of ${message.length} bytes; ${messageBytesMax} is the most that is sent`
      )
      return false
    }
    this.#network.note('send', this, message)
    // A copy, as between two processes: neither side may see what the other does to its memory afterwards.
    const bytes = Buffer.from(message)
    this.#inFlightBytes += bytes.length + messageOverheadBytes
    this.#outgoing.send({ kind: 'message', bytes })
    if (this.#inFlightBytes > sendWindowBytes) this.#isFull = true
    return !this.#isFull
  }

  close(reason: string): void {
    if (this.#state === 'closed' || !this.host.isAlive) return
    this.#outgoing.keepFirst(this.#network.survivors(this.#outgoing.length))
    this.#outgoing.send({ kind: 'close', reason: 'closed by the other side' })
    this.finish(reason)
  }

  /** Ends without a word to the other side. */
  finish(reason: string): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#network.note(`close ${reason}`, this)
    this.#network.time.schedule(() => {
      this.#tell(() => this.#events?.onClose(reason))
    }, 0)
    this.#network.finished(this)
  }

  /** The host died: what is under way may be lost, and the other side learns of it after a while. */
  reset(delayMs: number): void {
    this.#outgoing.keepFirst(this.#network.survivors(this.#outgoing.length))
    this.#outgoing.send({ kind: 'close', reason: 'the connection was reset' }, delayMs)
    this.finish('crashed')
  }

  opened(): void {
    if (this.#state !== 'connecting' || !this.host.isAlive) return
    this.#state = 'open'
    this.#network.note('open', this)
    this.#events?.onOpen()
    this.#drain()
  }

  receive(parcel: Parcel): void {
    if (parcel.kind === 'message') this.#peer?.hasArrived(parcel.bytes.length)
    if (this.#state === 'closed' || !this.host.isAlive) return
    switch (parcel.kind) {
      case 'accepted':
        this.opened()
        break
      case 'refused':
        this.finish('the connection was refused')
        break
      case 'message':
        this.#receiveMessage(parcel.bytes)
        break
      case 'room':
        this.#drain()
        break
      case 'close':
        this.finish(parcel.reason)
        break
    }
  }

  #receiveMessage(bytes: Uint8Array): void {
    if (this.#network.isLost()) {
      this.#network.note('lose', this, bytes)
      return
    }
    this.#network.note('receive', this, bytes)
    const repeatDelayMs = this.#network.repeatDelayMs()
    if (repeatDelayMs !== null) {
      const again = Buffer.from(bytes)
      this.#network.time.schedule(() => this.#repeat(again), repeatDelayMs)
    }
    this.#events?.onMessage(bytes)
  }

  #repeat(bytes: Uint8Array): void {
    this.#tell(() => {
      if (this.#state !== 'open') return
      this.#network.note('repeat', this, bytes)
      this.#events?.onMessage(bytes)
    })
  }

  /** Now, or once the pause of this side is over. */
  #tell(what: () => void): void {
    if (!this.host.isAlive) return
    if (this.#network.isPaused(this.host.name)) this.host.untold.push(() => this.#tell(what))
    else what()
  }

  /** A message of this side is off the wire. That there is room again travels back as everything else does. */
  hasArrived(bytes: number): void {
    const hadRoom = this.#hasRoom()
    this.#inFlightBytes -= bytes + messageOverheadBytes
    if (this.#isFull && !hadRoom && this.#hasRoom()) this.#peer?.tellOfRoom()
  }

  tellOfRoom(): void {
    this.#outgoing.send({ kind: 'room' })
  }

  #hasRoom(): boolean {
    return this.#inFlightBytes <= this.#network.sendWindowBytes / 2
  }

  #drain(): void {
    if (!this.#isFull || this.#state !== 'open' || !this.#hasRoom()) return
    this.#isFull = false
    this.#network.note('drain', this)
    this.#events?.onDrain()
  }
}
