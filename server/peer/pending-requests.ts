const capacityMin = 64
const free = 0

/**
 * What waits for a response, by request id: a table of its own making (open addressing, linear probing) that is filled
 * and emptied without allocating. A Map would move its entries to a new table every few dozen requests. V8 keeps each
 * old table linked to its successor, so that one of them in the old generation holds all requests that have passed
 * through since, until the next full collection; copying those cost a tenth of a read.
 *
 * Ids are positive integers, each used once.
 */
export class PendingRequests<T> {
  #ids = new Float64Array(capacityMin)
  #entries: (T | undefined)[] = emptyEntries(capacityMin)
  #size = 0

  get size(): number {
    return this.#size
  }

  set(id: number, entry: T): void {
    if (this.#size * 2 >= this.#ids.length) this.#grow()
    this.#put(id, entry)
    this.#size++
  }

  /** Removes a request; undefined where no such request waits. */
  take(id: number): T | undefined {
    const slot = this.#slotOf(id)
    if (id <= 0 || this.#ids[slot] !== id) return undefined
    const entry = this.#entries[slot]
    this.#removeAt(slot)
    this.#size--
    return entry
  }

  /** All that wait, the oldest first. */
  entries(): [id: number, entry: T][] {
    const entries: [number, T][] = []
    this.#entries.forEach((entry, slot) => {
      if (entry !== undefined) entries.push([this.#ids[slot] ?? free, entry])
    })
    return entries.sort(([a], [b]) => a - b)
  }

  clear(): void {
    this.#ids = new Float64Array(capacityMin)
    this.#entries = emptyEntries(capacityMin)
    this.#size = 0
  }

  /** The slot of the id, or the free one where it would go. Invariant: at least half of the slots are free. */
  #slotOf(id: number): number {
    const capacity = this.#ids.length
    let slot = id % capacity
    while (this.#ids[slot] !== id && this.#ids[slot] !== free) slot = (slot + 1) % capacity
    return slot
  }

  #put(id: number, entry: T): void {
    const slot = this.#slotOf(id)
    this.#ids[slot] = id
    this.#entries[slot] = entry
  }

  // A gap would end the search for those that were pushed on past it, so each of these moves up.
  #removeAt(slot: number): void {
    const capacity = this.#ids.length
    let gap = slot
    for (let next = (gap + 1) % capacity; this.#ids[next] !== free; next = (next + 1) % capacity) {
      const id = this.#ids[next] ?? free
      const home = id % capacity
      const isPastGap = (next - home + capacity) % capacity >= (next - gap + capacity) % capacity
      if (!isPastGap) continue
      this.#ids[gap] = id
      this.#entries[gap] = this.#entries[next]
      gap = next
    }
    this.#ids[gap] = free
    this.#entries[gap] = undefined
  }

  #grow(): void {
    const ids = this.#ids
    const entries = this.#entries
    this.#ids = new Float64Array(ids.length * 2)
    this.#entries = emptyEntries(ids.length * 2)
    entries.forEach((entry, slot) => {
      if (entry !== undefined) this.#put(ids[slot] ?? free, entry)
    })
  }
}

function emptyEntries(capacity: number): undefined[] {
  return Array.from({ length: capacity }, () => undefined)
}
