import { batchBytesMax } from '../../core/limits.ts'
import type { Connection, Timers } from '../../core/ports.ts'
import { type EncodedFrame, encodeLinkMessage } from '../../proto/frame-codec.ts'

const waitingBytesMax = 64 * 1024 * 1024

/**
 * Gathers the frames of one turn of the event loop into one message: the cost of a message is many times that of a
 * frame. While the connection is full, frames wait here; whoever sends looks first at what waits already.
 */
export class FrameSender {
  readonly #connection: Connection
  readonly #timers: Timers
  #frames: EncodedFrame[] = []
  #bytes = 0
  #scheduled = false
  #full = false

  constructor(connection: Connection, timers: Timers) {
    this.#connection = connection
    this.#timers = timers
  }

  /** Frames that are not on their way yet. */
  get waitingFrames(): number {
    return this.#frames.length
  }

  /** The other side does not take what it is sent, and so much waits for it that more is not worth adding. */
  get isOverfull(): boolean {
    return this.#full && this.#bytes > waitingBytesMax
  }

  send(frame: EncodedFrame): void {
    this.#frames.push(frame)
    this.#bytes += frame.bytes
    if (this.#full) return
    if (this.#bytes >= batchBytesMax) this.#flush()
    else if (!this.#scheduled) {
      this.#scheduled = true
      this.#timers.atEndOfTurn(() => {
        this.#scheduled = false
        if (!this.#full) this.#flush()
      })
    }
  }

  drained(): void {
    this.#full = false
    this.#flush()
  }

  // What waited for a drain may be much: it goes out in messages of the usual size, as long as there is room.
  #flush(): void {
    let from = 0
    while (from < this.#frames.length && !this.#full) {
      let to = from
      let bytes = 0
      for (let frame = this.#frames[to]; frame !== undefined; frame = this.#frames[to]) {
        if (to > from && bytes + frame.bytes > batchBytesMax) break
        bytes += frame.bytes
        to++
      }
      const batch =
        from === 0 && to === this.#frames.length ? this.#frames : this.#frames.slice(from, to)
      from = to
      this.#bytes -= bytes
      this.#full = !this.#connection.send(encodeLinkMessage(batch))
    }
    this.#frames = from === this.#frames.length ? [] : this.#frames.slice(from)
  }
}
