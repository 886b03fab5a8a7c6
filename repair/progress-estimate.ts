import type { SessionCounters } from './session-outcome.ts'

/** How far back rates are measured: short enough to follow a throttle, long enough not to follow every message. */
const windowMs = 5000
const samplesMax = 64
/** What a row costs next to a leaf, as long as it has not been measured. */
const rowCostInLeaves = 0.4

interface Sample {
  readonly atMs: number
  readonly leaves: number
  readonly rows: number
}

/**
 * How long a comparison still takes, from what is known to be left and the rates of the last seconds. Rows are known
 * after the listings; in leaves that were not listed yet as many are expected as were found in the others. Times are
 * monotonic milliseconds.
 */
export class ProgressEstimate {
  #samples: readonly Sample[] = []
  #leavesLeft = 0
  #rowsLeft = 0

  observe(counters: SessionCounters, nowMs: number): void {
    const { leavesCompared, leavesToCompare, rowsSent, rowsReceived, rowsToShip } = counters
    const rows = rowsSent + rowsReceived
    const rowsPerLeaf = leavesCompared === 0 ? 1 : (rows + rowsToShip) / leavesCompared
    this.#leavesLeft = leavesToCompare
    this.#rowsLeft = rowsToShip + leavesToCompare * rowsPerLeaf
    const last = this.#samples.at(-1)
    // Closely spaced samples tell nothing more and would push out the older ones.
    if (last !== undefined && nowMs - last.atMs < windowMs / samplesMax) return
    const samples = [...this.#samples, { atMs: nowMs, leaves: leavesCompared, rows }]
    // The first one is the last from before the window, so that a slow run is measured over two samples at least.
    const within = samples.findIndex(({ atMs }) => atMs >= nowMs - windowMs)
    this.#samples = samples.slice(Math.max(0, Math.min(within - 1, samples.length - 2)))
  }

  /** Null while nothing can be said: nothing is known to be left, or nothing was done within the last seconds. */
  etaSeconds(nowMs: number): number | null {
    if (this.#leavesLeft + this.#rowsLeft === 0) return null
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined) return null
    const elapsedSeconds = (Math.max(nowMs, last.atMs) - first.atMs) / 1000
    const leavesPerSecond = (last.leaves - first.leaves) / elapsedSeconds
    const rowsPerSecond = (last.rows - first.rows) / elapsedSeconds
    const leavesSeconds = timeFor(this.#leavesLeft, leavesPerSecond)
    // Where rows are shipped while leaves are listed each rate includes what the other costs: the slower one decides.
    if (rowsPerSecond > 0) return Math.max(leavesSeconds ?? 0, this.#rowsLeft / rowsPerSecond)
    if (leavesSeconds === null) return null
    const assumedRowsPerSecond = leavesPerSecond / rowCostInLeaves
    return leavesSeconds + (timeFor(this.#rowsLeft, assumedRowsPerSecond) ?? 0)
  }
}

function timeFor(amount: number, perSecond: number): number | null {
  if (amount === 0) return 0
  return perSecond > 0 ? amount / perSecond : null
}
