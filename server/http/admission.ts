import type { FastifyReply, FastifyRequest } from 'fastify'
import { AnnealError } from '../../core/errors.ts'

export interface AdmissionLimits {
  readonly maxInFlightRequests: number
  readonly maxInFlightBytes: number
  readonly maxValueBytes: number
}

/**
 * Bounds what is in progress at one time: requests by number, bodies and large answers by bytes. What is over is
 * answered at once, which costs little, instead of waiting in memory for its timeout.
 */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #onRejected: () => void
  readonly #bodies = new WeakMap<FastifyRequest, number>()
  #requests = 0
  #bytes = 0

  constructor(limits: AdmissionLimits, onRejected: () => void) {
    this.#limits = limits
    this.#onRejected = onRejected
  }

  get requestsInFlight(): number {
    return this.#requests
  }

  get bytesInFlight(): number {
    return this.#bytes
  }

  /** Before a body is read. Errors: `overloaded`. */
  admitBody(request: FastifyRequest): void {
    const length = request.headers['content-length']
    const chunked = request.headers['transfer-encoding'] !== undefined
    const bytes = length !== undefined ? Number(length) : chunked ? this.#limits.maxValueBytes : 0
    if (bytes <= uncountedBodyBytes || bytes > this.#limits.maxValueBytes) return
    this.#take(bytes)
    this.#bodies.set(request, bytes)
  }

  /** The answer is known, and with it the body of no use any more. */
  releaseBody(request: FastifyRequest): void {
    const bytes = this.#bodies.get(request)
    if (bytes === undefined) return
    this.#bodies.delete(request)
    this.#bytes -= bytes
  }

  /** One request begins; `leave` must follow once it has ended. Errors: `overloaded`, and it has not begun. */
  enter(): void {
    if (this.#requests >= this.#limits.maxInFlightRequests) {
      throw this.#overloaded(`${this.#requests} requests are in progress`)
    }
    this.#requests++
  }

  leave(): void {
    this.#requests--
  }

  /** Runs one request. Errors: `overloaded`, and those of `run`. */
  async admit<T>(run: () => Promise<T>): Promise<T> {
    this.enter()
    try {
      return await run()
    } finally {
      this.leave()
    }
  }

  /**
   * Counts a large answer until the client has taken it. One that is larger than all that may be held goes out where
   * nothing else is held: otherwise nobody could ever read the key, and settle it. Errors: `overloaded`.
   */
  holdAnswer(reply: FastifyReply, bytes: number): void {
    if (bytes < countedAnswerBytes) return
    // Where the client has left already, nobody would tell when the answer is gone.
    if (reply.request.raw.socket.destroyed) return
    this.releaseBody(reply.request)
    if (this.#bytes === 0) this.#bytes = bytes
    else this.#take(bytes)
    reply.raw.once('close', () => {
      this.#bytes -= bytes
    })
  }

  /**
   * As `holdAnswer`, for an answer that grows piece by piece: to be called with the bytes of each, however few. Errors:
   * `overloaded` from that call, also once the client has left, and the piece is not to be kept.
   */
  holdPieces(reply: FastifyReply): (bytes: number) => void {
    let held = 0
    let hasLeft = reply.request.raw.socket.destroyed
    reply.raw.once('close', () => {
      this.#bytes -= held
      hasLeft = true
    })
    return (bytes) => {
      if (hasLeft) throw new AnnealError('overloaded', 'the client did not wait for the answer')
      this.#take(bytes)
      held += bytes
    }
  }

  #take(bytes: number): void {
    if (this.#bytes + bytes > this.#limits.maxInFlightBytes) {
      throw this.#overloaded(`${this.#bytes} bytes of bodies are held`)
    }
    this.#bytes += bytes
  }

  #overloaded(why: string): AnnealError {
    this.#onRejected()
    return new AnnealError(
      'overloaded',
      `this node has as much to do as it can: ${why}; try again in a second, or another node`
    )
  }
}

// Bodies up to this size are bounded by the number of connections; counting them costs more than they do.
const uncountedBodyBytes = 4 * 1024

// Smaller answers fit the socket's own buffers.
const countedAnswerBytes = 64 * 1024
