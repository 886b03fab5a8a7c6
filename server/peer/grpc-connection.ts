import type { Channel, Connection, ConnectionEvents } from '../../core/ports.ts'

/** What a connection uses of a gRPC stream; both sides' streams have it. */
export interface MessageStream {
  write(message: Uint8Array, onWritten: () => void): unknown
}

export interface GrpcConnectionOptions {
  readonly channel: Channel
  readonly remote: string
  readonly messageBytesMax: number
  readonly sendWindowBytes: number
  /** Ends the stream and frees what carries it. Called once. */
  readonly hangUp: (reason: string) => void
}

type State = 'connecting' | 'open' | 'closed'

// What a queued message costs besides its bytes, roughly: many tiny messages must fill the window too.
const messageOverheadBytes = 256

/**
 * The contract of a `Connection` on top of a gRPC stream, the same for the side that dialed and the one that accepted:
 * what the stream reports goes in through `opened`, `received` and `close`, in any order and any number, and comes out
 * as at most one `onOpen` and exactly one `onClose`, which is never called out of `send`, `close` or `dial`.
 */
export class GrpcConnection implements Connection {
  readonly channel: Channel
  readonly remote: string
  readonly #options: GrpcConnectionOptions
  #state: State = 'connecting'
  #stream: MessageStream | null = null
  #events: ConnectionEvents | null = null
  #queuedBytes = 0
  #isFull = false

  constructor(options: GrpcConnectionOptions) {
    this.channel = options.channel
    this.remote = options.remote
    this.#options = options
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  carriedBy(stream: MessageStream): void {
    this.#stream = stream
  }

  tell(events: ConnectionEvents): void {
    this.#events = events
  }

  send(message: Uint8Array): boolean {
    if (this.#state === 'closed' || this.#stream === null) return false
    const { messageBytesMax, sendWindowBytes } = this.#options
    if (message.length > messageBytesMax) {
      this.close(
        `a message of ${message.length} bytes; ${messageBytesMax} is the most that is sent`
      )
      return false
    }
    const bytes = message.length + messageOverheadBytes
    this.#queuedBytes += bytes
    this.#stream.write(message, () => {
      this.#queuedBytes -= bytes
      this.#drain()
    })
    if (this.#queuedBytes > sendWindowBytes) this.#isFull = true
    return !this.#isFull
  }

  close(reason: string): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#options.hangUp(reason)
    queueMicrotask(() => this.#events?.onClose(reason))
  }

  opened(): void {
    if (this.#state !== 'connecting') return
    this.#state = 'open'
    this.#events?.onOpen()
    this.#drain()
  }

  received(message: Uint8Array): void {
    if (this.#state === 'open') this.#events?.onMessage(message)
  }

  // Waiting until half of the window is free lets the owner refill it in large pieces.
  #drain(): void {
    if (!this.#isFull || this.#state !== 'open') return
    if (this.#queuedBytes > this.#options.sendWindowBytes / 2) return
    this.#isFull = false
    this.#events?.onDrain()
  }
}
