const slackMax = 1024

/**
 * The least of many numbers that come and go, each as often as it was added: two binary heaps, one of what came and one
 * of what went, whose equal tops cancel out. 8 bytes a number, so that a million of them are worth keeping.
 */
export class MinimumTracker {
  #present: number[] = []
  #removed: number[] = []

  /** How many numbers there are. */
  get size(): number {
    return this.#present.length - this.#removed.length
  }

  add(value: number): void {
    push(this.#present, value)
  }

  /** Only what was added before, and not more often. */
  remove(value: number): void {
    push(this.#removed, value)
    // While a small number stays, what goes behind it would pile up.
    if (this.#removed.length > this.size + slackMax) this.#compact()
  }

  /** Null where there is none. */
  minimum(): number | null {
    while (this.#removed.length > 0 && this.#removed[0] === this.#present[0]) {
      pop(this.#removed)
      pop(this.#present)
    }
    return this.#present[0] ?? null
  }

  #compact(): void {
    const present = Float64Array.from(this.#present).sort()
    const removed = Float64Array.from(this.#removed).sort()
    const left: number[] = []
    let at = 0
    for (const value of present) {
      if (at < removed.length && removed[at] === value) at++
      else left.push(value)
    }
    // A sorted array is a heap.
    this.#present = left
    this.#removed = []
  }
}

function push(heap: number[], value: number): void {
  let at = heap.length
  heap.push(value)
  while (at > 0) {
    const parent = (at - 1) >> 1
    const above = heap[parent] ?? 0
    if (above <= value) break
    heap[at] = above
    at = parent
  }
  heap[at] = value
}

function pop(heap: number[]): void {
  const value = heap.pop()
  if (value === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && (heap[child + 1] ?? 0) < (heap[child] ?? 0)) child++
    const below = heap[child] ?? 0
    if (below >= value) break
    heap[at] = below
    at = child
  }
  heap[at] = value
}
