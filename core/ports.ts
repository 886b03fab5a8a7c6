/**
 * What a node needs from the world. Production passes the real ones, the simulator its own; nothing below `server/`
 * reaches for a clock, a timer, randomness or the network in any other way.
 */

export interface Clock {
  /** Wall-clock time in milliseconds since 1970; may jump in both directions. */
  now(): number
  /** Milliseconds since an arbitrary start; never goes back. */
  monotonic(): number
}

/** A timer that has been set; opaque to its owner. */
export type TimerHandle = object

export interface Timers {
  /** Calls `callback` once after at least `delayMs`. A timer alone does not keep the process alive. */
  set(callback: () => void, delayMs: number): TimerHandle
  /** Cancels; a timer that has fired or was cancelled is ignored. */
  clear(timer: TimerHandle): void
  /** Calls `callback` when the current turn of the event loop has done its work: where batches are closed. */
  atEndOfTurn(callback: () => void): void
}

export interface RandomSource {
  /** Unpredictable in production: incarnations, nonces and request ids come from here. */
  bytes(length: number): Uint8Array
  /** A number in [0, 1), for jitter and choice. */
  fraction(): number
}

/** Structured logging: one event, its facts as fields, one sentence. */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** `small` carries requests that a user waits for, `bulk` everything that would queue ahead of them. */
export type Channel = 'small' | 'bulk'

export interface ConnectionEvents {
  /** The connection can carry messages. Called at most once, never before `dial` or the accepting callback returned. */
  onOpen(): void
  onMessage(message: Uint8Array): void
  /** `send` returned false before, and now there is room again. */
  onDrain(): void
  /** Called exactly once, whoever closed and whether or not it ever opened. Nothing is called afterwards. */
  onClose(reason: string): void
}

/** An ordered stream of messages in both directions. What was sent before a close may be lost, in any number. */
export interface Connection {
  readonly channel: Channel
  /** The address of the other side, for people. */
  readonly remote: string
  /** False: take no more until `onDrain`. The message was accepted all the same. After a close it is ignored. */
  send(message: Uint8Array): boolean
  close(reason: string): void
}

/** Called for each connection that a peer opens; answers with what is to be told of it. */
export type Acceptor = (connection: Connection) => ConnectionEvents

export interface Listener {
  /** The address that is really listened on, with the port that was chosen where 0 was asked for. */
  readonly address: string
  /** Stops accepting and closes every accepted connection. */
  close(): Promise<void>
}

export interface Transport {
  /** Errors: rejects where the address cannot be listened on, naming it. */
  listen(address: string, acceptor: Acceptor): Promise<Listener>
  /** Starts to connect; the outcome is told by `onOpen` or `onClose`. Never throws. */
  dial(address: string, channel: Channel, events: ConnectionEvents): Connection
}
