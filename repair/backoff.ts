import type { RandomSource } from '../core/ports.ts'

export interface BackoffLimits {
  readonly minMs: number
  readonly maxMs: number
}

/**
 * How long to wait after so many failures in a row: exponential, with a jitter of half, so that nodes that failed
 * together do not try together again.
 */
export function backoffMs(failures: number, limits: BackoffLimits, random: RandomSource): number {
  // Beyond this the power is larger than any limit, and in the end not a number any more.
  const exponent = Math.min(Math.max(failures, 1) - 1, 30)
  const fullMs = Math.min(limits.maxMs, limits.minMs * 2 ** exponent)
  return fullMs * (0.5 + random.fraction() / 2)
}
