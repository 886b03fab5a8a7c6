/** Hands out turns that follow each other evenly, whoever takes them. */
export interface Pace {
  /** When the next operation is due, by performance.now(); may have passed. */
  next(): number
}

/**
 * An even rate from the first call on. Turns that nobody was free to take are not dropped: they are taken late, so that
 * the rate is kept as soon as it can be, and what waited is seen in the latencies.
 */
export function createPace(perSecond: number): Pace {
  let startedAt: number | null = null
  let turns = 0
  return {
    next: () => {
      startedAt ??= performance.now()
      return startedAt + (turns++ * 1000) / perSecond
    }
  }
}
