/** Something that is to happen at a moment of virtual time. */
export interface ScheduledEvent {
  readonly atMs: number
  readonly order: number
  /** Null once it ran or was cancelled. */
  callback: (() => void) | null
}

/**
 * A binary heap of events, by time and, within one moment, in the order in which they were added. Cancelled events stay
 * where they are and are passed over; when they are the majority, the heap is rebuilt without them.
 */
export class EventQueue {
  #heap: ScheduledEvent[] = []
  #order = 0
  #cancelled = 0

  get size(): number {
    return this.#heap.length - this.#cancelled
  }

  add(atMs: number, callback: () => void): ScheduledEvent {
    const event: ScheduledEvent = { atMs, order: this.#order++, callback }
    this.#heap.push(event)
    this.#rise(this.#heap.length - 1)
    return event
  }

  cancel(event: ScheduledEvent): void {
    if (event.callback === null) return
    event.callback = null
    this.#cancelled++
    if (this.#cancelled > 1000 && this.#cancelled > this.#heap.length / 2) this.#rebuild()
  }

  /** The moment of the next event, or infinity. */
  get nextMs(): number {
    this.#dropCancelled()
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY
  }

  /** Removes the next event and returns what it calls. */
  take(): (() => void) | null {
    this.#dropCancelled()
    const event = this.#heap[0]
    if (event === undefined) return null
    this.#removeFirst()
    const { callback } = event
    event.callback = null
    return callback
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.callback === null) {
      this.#removeFirst()
      this.#cancelled--
    }
  }

  #rebuild(): void {
    const kept = this.#heap.filter(({ callback }) => callback !== null)
    // A sorted array is a heap.
    this.#heap = kept.sort((a, b) => a.atMs - b.atMs || a.order - b.order)
    this.#cancelled = 0
  }

  #removeFirst(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #rise(from: number): void {
    let at = from
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#swapIfBefore(at, parent)) return
      at = parent
    }
  }

  #sink(from: number): void {
    let at = from
    for (;;) {
      const left = 2 * at + 1
      const child = this.#isBefore(left + 1, left) ? left + 1 : left
      if (!this.#swapIfBefore(child, at)) return
      at = child
    }
  }

  #isBefore(a: number, b: number): boolean {
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (first === undefined || second === undefined) return false
    return first.atMs < second.atMs || (first.atMs === second.atMs && first.order < second.order)
  }

  #swapIfBefore(a: number, b: number): boolean {
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (first === undefined || second === undefined || !this.#isBefore(a, b)) return false
    this.#heap[a] = second
    this.#heap[b] = first
    return true
  }
}
