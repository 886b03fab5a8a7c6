import type { VirtualTime } from './virtual-time.ts'

/** What travels from one end of a connection to the other. */
export type Parcel =
  | { readonly kind: 'connect' }
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  | { readonly kind: 'room' }
  | { readonly kind: 'close'; readonly reason: string }

/** The way from one node to another, as it is at the moment. */
export interface Path {
  isCut(): boolean
  latencyMs(): number
}

interface Travelling {
  readonly parcel: Parcel
  readonly atMs: number
}

/**
 * One direction of one connection. Parcels arrive in the order in which they were sent, each after its own latency or
 * right behind the one before it. Where the path is cut they wait: a connection that survives the cut loses nothing.
 */
export class SimWire {
  readonly #time: VirtualTime
  readonly #path: Path
  readonly #deliver: (parcel: Parcel) => void
  #queue: Travelling[] = []
  #isMoving = false

  constructor(time: VirtualTime, path: Path, deliver: (parcel: Parcel) => void) {
    this.#time = time
    this.#path = path
    this.#deliver = deliver
  }

  get length(): number {
    return this.#queue.length
  }

  send(parcel: Parcel, extraDelayMs = 0): void {
    const atMs = this.#time.nowMs + this.#path.latencyMs() + extraDelayMs
    this.#queue.push({ parcel, atMs })
    this.#move()
  }

  /** Loses all but the first `count` parcels that have not arrived yet. */
  keepFirst(count: number): void {
    this.#queue = this.#queue.slice(0, count)
  }

  /** Goes on after a cut. */
  resume(): void {
    this.#move(this.#path.latencyMs())
  }

  #move(delayMs = 0): void {
    const [first] = this.#queue
    if (this.#isMoving || first === undefined || this.#path.isCut()) return
    this.#isMoving = true
    this.#time.schedule(() => this.#arrive(), Math.max(delayMs, first.atMs - this.#time.nowMs))
  }

  #arrive(): void {
    this.#isMoving = false
    if (this.#path.isCut()) return
    const first = this.#queue.shift()
    if (first === undefined) return
    this.#deliver(first.parcel)
    this.#move()
  }
}
