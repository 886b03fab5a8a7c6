import { connect, type Socket } from 'node:net'
import type { LatencyHistogram } from './histogram.ts'
import type { Operation } from './operation.ts'
import type { Pace } from './pace.ts'
import type { KeySource } from './random-keys.ts'
import { ResponseReader } from './response-reader.ts'

const readBufferBytes = 16 * 1024
const reconnectDelayMs = 100

/** An unreachable server ends a connection's run after this many attempts in a row, about five seconds. */
const connectAttemptsMax = 50

/** What the connections of one run count together. */
export interface LoadTally {
  /** Of the section that is running; replaced when another begins. */
  latency: LatencyHistogram
  /** By status, or by what was wrong: `closed`, `timeout`, `connect`, `wrong_length`, or `malformed` and in what way. */
  readonly errors: Map<string, number>
  reconnects: number
  lastAnswerAt: number
}

export interface LoadConnectionOptions {
  readonly host: string
  readonly port: number
  readonly operation: Operation
  readonly nextKey: KeySource
  /** Null: the next operation begins when the last one was answered. */
  readonly pace: Pace | null
  readonly tally: LoadTally
  /** Called once, when the first attempt to connect has succeeded or failed. */
  readonly onReady: () => void
  /** Called once, when there is nothing outstanding and nothing more to do. */
  readonly onEnd: () => void
}

/**
 * `connecting` and `waiting` (for another attempt) have no operation under way, `idle` is open before the start, `resting`
 * is open and waits for its turn, `busy` has exactly one request outstanding, `ended` is final.
 */
type ConnectionState = 'connecting' | 'waiting' | 'idle' | 'resting' | 'busy' | 'ended'

/**
 * One keep-alive connection that sends its next request when the last one was answered. An operation whose connection
 * breaks is counted as an error, never sent again, and the run goes on over a new connection.
 */
export class LoadConnection {
  readonly #options: LoadConnectionOptions
  readonly #reader = new ResponseReader()
  readonly #readBuffer = Buffer.allocUnsafe(readBufferBytes)
  #socket: Socket
  #state: ConnectionState = 'connecting'
  #ready = false
  #started = false
  #failedAttempts = 0
  /** When the operation or the attempt to connect that is under way began. */
  #startedAt = 0
  #deadline = Number.POSITIVE_INFINITY

  constructor(options: LoadConnectionOptions) {
    this.#options = options
    this.#socket = this.#connect()
  }

  /** Starts the first operation, or the reconnecting; no operation begins at or after `deadline` (performance.now()). */
  start(deadline: number): void {
    this.#deadline = deadline
    this.#started = true
    if (this.#state === 'idle') this.#next(performance.now())
    else if (this.#state === 'waiting') this.#reconnect()
  }

  /** No operation begins any more; the one under way is waited for. */
  finish(): void {
    this.#deadline = 0
    if (this.#state === 'resting') this.#end()
  }

  /** Breaks off an operation, or an attempt to connect, that began before `startedBefore` (performance.now()). */
  sweep(startedBefore: number): void {
    if (this.#startedAt >= startedBefore) return
    if (this.#state === 'busy') this.#break('timeout')
    else if (this.#state === 'connecting') this.#socket.destroy()
  }

  #connect(): Socket {
    this.#state = 'connecting'
    this.#startedAt = performance.now()
    this.#reader.reset()
    const socket = connect({
      host: this.#options.host,
      port: this.#options.port,
      noDelay: true,
      // One buffer for every read: the stream's own way allocates a buffer and an event for each.
      onread: {
        buffer: this.#readBuffer,
        callback: (length) => {
          if (socket === this.#socket) this.#receive(length)
          return true
        }
      }
    })
    socket.once('connect', () => this.#opened())
    // The 'close' that follows every error says all that is counted.
    socket.on('error', () => {})
    socket.once('close', () => {
      if (socket === this.#socket) this.#closed()
    })
    return socket
  }

  #opened(): void {
    this.#failedAttempts = 0
    this.#state = 'idle'
    if (this.#started) this.#next(performance.now())
    this.#announceReady()
  }

  #next(now: number): void {
    const turnAt = this.#options.pace?.next() ?? now
    if (turnAt <= now) {
      this.#begin(turnAt)
      return
    }
    this.#state = 'resting'
    setTimeout(() => {
      // The connection may have been closed or told to end meanwhile.
      if (this.#state === 'resting') this.#begin(performance.now())
    }, turnAt - now)
  }

  /** `startedAt` is when the operation was due: what waited for a slow answer before it counts as waiting. */
  #begin(startedAt: number): void {
    const key = performance.now() < this.#deadline ? this.#options.nextKey() : -1
    if (key < 0) {
      this.#end()
      return
    }
    this.#startedAt = startedAt
    this.#state = 'busy'
    this.#socket.write(this.#options.operation.start(key))
  }

  #receive(length: number): void {
    if (this.#state !== 'busy') {
      this.#break('malformed: an answer before the request')
      return
    }
    let complete: boolean
    try {
      complete = this.#reader.receive(this.#readBuffer, length)
    } catch (error) {
      this.#break(`malformed: ${error instanceof Error ? error.message : String(error)}`)
      return
    }
    if (complete) this.#answered()
  }

  #answered(): void {
    const step = this.#options.operation.answer(this.#reader)
    this.#reader.reset()
    if (step.kind === 'send' && this.#reader.keepAlive) {
      this.#socket.write(step.request)
      return
    }
    const now = performance.now()
    const tally = this.#options.tally
    tally.lastAnswerAt = now
    if (step.kind === 'done') tally.latency.record((now - this.#startedAt) * 1000)
    else this.#countError(step.kind === 'error' ? step.name : 'closed')
    if (this.#reader.keepAlive) this.#next(now)
    else this.#reconnect()
  }

  #closed(): void {
    if (this.#state === 'ended' || this.#state === 'waiting') return
    if (this.#state === 'busy') {
      this.#break('closed')
      return
    }
    if (this.#state === 'resting') {
      this.#reconnect()
      return
    }
    if (this.#state === 'idle') {
      // Closed between two operations: nothing was lost, and the start opens another.
      this.#state = 'waiting'
      return
    }
    this.#countError('connect')
    this.#failedAttempts++
    this.#state = 'waiting'
    this.#announceReady()
    if (this.#failedAttempts >= connectAttemptsMax) this.#end()
    else if (this.#started) setTimeout(() => this.#reconnect(), reconnectDelayMs)
  }

  #reconnect(): void {
    if (this.#state === 'ended') return
    if (performance.now() >= this.#deadline) {
      this.#end()
      return
    }
    this.#options.tally.reconnects++
    this.#socket.destroy()
    this.#socket = this.#connect()
  }

  #break(error: string): void {
    this.#countError(error)
    this.#options.tally.lastAnswerAt = performance.now()
    if (this.#started) {
      this.#reconnect()
    } else {
      this.#state = 'waiting'
      this.#socket.destroy()
    }
  }

  #end(): void {
    this.#state = 'ended'
    this.#socket.destroy()
    this.#options.onEnd()
  }

  #announceReady(): void {
    if (this.#ready) return
    this.#ready = true
    this.#options.onReady()
  }

  #countError(name: string): void {
    const errors = this.#options.tally.errors
    errors.set(name, (errors.get(name) ?? 0) + 1)
  }
}
