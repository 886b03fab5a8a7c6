import type { LifeReport } from './life.ts'
import type { LifeParameters } from './life-parameters.ts'

/** One life to be lived: what its seed draws, except for what is said here. */
export interface LifeTask {
  readonly seed: number
  readonly override: Partial<LifeParameters>
}

/** From a worker: that it has loaded the program, or how a life went. */
export type WorkerMessage =
  | { readonly kind: 'loaded' }
  | { readonly kind: 'lived'; readonly report: LifeReport; readonly cpuMs: number }
  | { readonly kind: 'threw'; readonly stack: string }
