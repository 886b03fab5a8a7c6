import { AnnealError } from '../../core/errors.ts'

/** Where a listener's events go: a response of Node.js, as far as it is needed. */
export interface EventSink {
  /** Bytes that the client has not taken yet. */
  readonly writableLength: number
  write(text: string): unknown
  end(): unknown
  destroy(): unknown
  once(event: 'close', listener: () => void): unknown
}

/** What there is to tell, by the name of the event; the text is one line of JSON. */
export type EventTexts = ReadonlyMap<string, string>

export interface EventFeedOptions {
  /** Called at the first listener, and then once an interval for all of them. */
  readonly read: () => EventTexts
  /** The first listener is about to come. */
  readonly onAwake: () => void
  readonly isStopping: () => boolean
  readonly listenersMax: number
  readonly intervalMs: number
}

interface Listener {
  readonly sink: EventSink
  /** What it was last sent of each event. */
  readonly sent: Map<string, string>
  skipped: number
}

/** A client that has taken nothing for so many intervals is let go of. */
const skippedMax = 30
/** How long a browser waits before it connects again. */
const retryMs = 1000

/**
 * Tells listeners how things are, each event when it has changed. What a listener has not taken yet is never added to:
 * it is sent the newest state once it has room again, so that it holds one set of events in memory and no more. While
 * nobody listens nothing is read and no timer runs.
 */
export class EventFeed {
  readonly #options: EventFeedOptions
  readonly #listeners = new Set<Listener>()
  #latest: EventTexts = new Map()
  #timer: NodeJS.Timeout | null = null

  constructor(options: EventFeedOptions) {
    this.#options = options
  }

  get listenerCount(): number {
    return this.#listeners.size
  }

  /** Errors: `overloaded`, `not_ready`; to be called before anything of the answer is sent. */
  checkRoom(): void {
    const { listenersMax, isStopping } = this.#options
    if (isStopping()) throw new AnnealError('not_ready', 'this node is about to stop')
    if (this.#listeners.size >= listenersMax) {
      throw new AnnealError(
        'overloaded',
        `${this.#listeners.size} clients listen to the events of this node already, and no more may: close a dashboard, or look at another node`,
        { listenersMax }
      )
    }
  }

  /** The listener is told everything at once, and what changes from then on. Errors: as `checkRoom`. */
  add(sink: EventSink): void {
    this.checkRoom()
    const listener: Listener = { sink, sent: new Map(), skipped: 0 }
    if (this.#listeners.size === 0) {
      this.#options.onAwake()
      this.#latest = this.#options.read()
      this.#timer = setInterval(() => this.#tick(), this.#options.intervalMs)
    }
    this.#listeners.add(listener)
    sink.once('close', () => this.#remove(listener))
    sink.write(`retry: ${retryMs}\n\n`)
    this.#send(listener)
  }

  /** Ends every stream. */
  close(): void {
    for (const listener of [...this.#listeners]) {
      listener.sink.end()
      this.#remove(listener)
    }
  }

  #tick(): void {
    this.#latest = this.#options.read()
    for (const listener of [...this.#listeners]) {
      if (listener.sink.writableLength === 0) {
        listener.skipped = 0
        this.#send(listener)
      } else if (++listener.skipped >= skippedMax) {
        listener.sink.destroy()
        this.#remove(listener)
      }
    }
    if (this.#options.isStopping()) this.close()
  }

  #send({ sink, sent }: Listener): void {
    let text = ''
    for (const [name, data] of this.#latest) {
      if (sent.get(name) === data) continue
      sent.set(name, data)
      text += `event: ${name}\ndata: ${data}\n\n`
    }
    if (text !== '') sink.write(text)
  }

  #remove(listener: Listener): void {
    this.#listeners.delete(listener)
    if (this.#listeners.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
    this.#latest = new Map()
  }
}
