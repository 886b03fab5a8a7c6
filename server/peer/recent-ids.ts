export const recentIdsMax = 8192

/**
 * Notices repeated request ids, so that a message delivered twice is carried out once. Remembers the ids up to 8192
 * below the highest one; older ones count as repeated.
 */
export class RecentIds {
  /** Whether an id was seen, at the place that it shares with those 8192 above and below it. */
  readonly #seen = new Uint8Array(recentIdsMax)
  #highest = 0

  /** Whether the id was seen before; it is from now on. */
  seen(id: number): boolean {
    if (id <= Math.max(0, this.#highest - recentIdsMax)) return true
    this.#riseTo(id)
    const place = id % recentIdsMax
    if (this.#seen[place] === 1) return true
    this.#seen[place] = 1
    return false
  }

  #riseTo(id: number): void {
    if (id - this.#highest >= recentIdsMax) this.#seen.fill(0)
    else {
      for (let next = this.#highest + 1; next <= id; next++) this.#seen[next % recentIdsMax] = 0
    }
    this.#highest = Math.max(this.#highest, id)
  }
}
