import { randomBytes, randomFillSync } from 'node:crypto'
import type { Clock, RandomSource, TimerHandle, Timers } from '../core/ports.ts'

/** The clocks of this machine: the wall clock, which may be set, and the monotonic one since the process started. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now()
}

// What setTimeout can wait for at the most; beyond it Node.js fires at once.
const timeoutMsMax = 2 ** 31 - 1

class SystemTimer {
  readonly #callback: () => void
  #timeout: NodeJS.Timeout

  constructor(callback: () => void, delayMs: number) {
    this.#callback = callback
    this.#timeout = this.#wait(delayMs)
  }

  cancel(): void {
    clearTimeout(this.#timeout)
  }

  #wait(delayMs: number): NodeJS.Timeout {
    if (delayMs <= timeoutMsMax) return setTimeout(this.#callback, delayMs).unref()
    const waitLonger = (): void => {
      this.#timeout = this.#wait(delayMs - timeoutMsMax)
    }
    return setTimeout(waitLonger, timeoutMsMax).unref()
  }
}

// Invariant: an immediate is pending exactly while this queue holds something that has not begun to run.
let endOfTurn: (() => void)[] = []

function runEndOfTurn(): void {
  const callbacks = endOfTurn
  endOfTurn = []
  let begun = 0
  try {
    for (const callback of callbacks) {
      begun++
      callback()
    }
  } finally {
    // A callback that throws must not take along those of other parts of the node.
    if (begun < callbacks.length) {
      const pending = endOfTurn.length > 0
      endOfTurn = [...callbacks.slice(begun), ...endOfTurn]
      if (!pending) setImmediate(runEndOfTurn)
    }
  }
}

/** The timers of Node.js, with delays of any length; all ends of one turn share one immediate. */
export const systemTimers: Timers = {
  set: (callback, delayMs) => new SystemTimer(callback, delayMs),
  clear: (timer: TimerHandle) => {
    if (timer instanceof SystemTimer) timer.cancel()
  },
  atEndOfTurn: (callback) => {
    if (endOfTurn.push(callback) === 1) setImmediate(runEndOfTurn)
  }
}

const poolBytes = 4096
const pool = Buffer.alloc(poolBytes)
let poolOffset = poolBytes

/** Takes `length` bytes out of the pool, where each is used once; the view is valid until the next call. */
function takeFromPool(length: number): Buffer {
  if (poolOffset + length > poolBytes) {
    randomFillSync(pool)
    poolOffset = 0
  }
  poolOffset += length
  return pool.subarray(poolOffset - length, poolOffset)
}

/** The system's cryptographic generator, asked for 4 KiB at a time: a call of its own for 16 bytes costs more than they do. */
export const systemRandom: RandomSource = {
  bytes: (length) =>
    length > poolBytes ? randomBytes(length) : Uint8Array.from(takeFromPool(length)),
  // 53 random bits, as many as a double between 0 and 1 can tell apart.
  fraction: () => {
    const bytes = takeFromPool(8)
    return ((bytes.readUInt32LE(0) >>> 5) * 2 ** 26 + (bytes.readUInt32LE(4) >>> 6)) / 2 ** 53
  }
}
