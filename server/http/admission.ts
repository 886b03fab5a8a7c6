import type { Socket } from 'node:net'
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
  readonly #bodies = new WeakMap<FastifyRequest, () => void>()
  readonly #onGone = new WeakMap<Socket, Set<() => void>>()
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
    if (bytes === 0 || bytes > this.#limits.maxValueBytes) return
    const release = this.#hold(bytes, request.raw.socket, () => {
      // A body that has arrived is worked on, whether or not somebody still waits for the answer.
      if (!request.raw.complete) release()
    })
    this.#bodies.set(request, release)
  }

  /** The body is of no use any more: the answer is known. */
  releaseBody(request: FastifyRequest): void {
    this.#bodies.get(request)?.()
  }

  /** Runs one request. Errors: `overloaded`, and those of `run`. */
  async admit<T>(run: () => Promise<T>): Promise<T> {
    if (this.#requests >= this.#limits.maxInFlightRequests) {
      throw this.#overloaded(`${this.#requests} requests are in progress`)
    }
    this.#requests++
    try {
      return await run()
    } finally {
      this.#requests--
    }
  }

  /** Counts a large answer until the client has taken it. Errors: `overloaded`. */
  holdAnswer(reply: FastifyReply, bytes: number): void {
    if (bytes < countedAnswerBytes) return
    const { socket } = reply.request.raw
    if (socket.destroyed) return
    const release = this.#hold(bytes, socket, () => release())
    reply.raw.once('close', release)
  }

  /**
   * Counts bytes until what is returned is called, for the first time. `onGone` is called where the connection closes
   * before: an answer that waits behind others on it, or a body that is cut off, is not told of that in any other way.
   */
  #hold(bytes: number, socket: Socket, onGone: () => void): () => void {
    this.#take(bytes)
    const waiting = this.#waitingFor(socket)
    waiting.add(onGone)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      waiting.delete(onGone)
      this.#bytes -= bytes
    }
  }

  #waitingFor(socket: Socket): Set<() => void> {
    const known = this.#onGone.get(socket)
    if (known !== undefined) return known
    const waiting = new Set<() => void>()
    this.#onGone.set(socket, waiting)
    socket.once('close', () => {
      for (const onGone of waiting) onGone()
    })
    return waiting
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

// Smaller answers fit the socket's own buffers.
const countedAnswerBytes = 64 * 1024
