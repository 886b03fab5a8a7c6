import type { GeneratorPlan, GeneratorPool } from './generator.ts'
import { LatencyHistogram, type LatencyHistogramState } from './histogram.ts'

/** Latencies of users over one stretch of time. */
export interface ForegroundReport {
  readonly operations: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** A stretch of time that has a name, and what users noticed of it. */
export interface Phase {
  readonly name: string
  readonly latency: LatencyHistogramState
}

/** The users while a script runs. */
export interface Foreground {
  /** What users notice while the work lasts counts under this name. */
  phase<R>(name: string, work: () => Promise<R>): Promise<R>
}

export interface WatchedForeground<T> {
  /** Of the script. */
  readonly result: T
  /** In their order; names may repeat. */
  readonly phases: readonly Phase[]
  readonly errors: ReadonlyMap<string, number>
}

/** Runs a script while the plan is carried out, which ends with the script. Errors: rejects with those of either. */
export async function watchForeground<T>(
  generator: GeneratorPool,
  plan: GeneratorPlan,
  script: (foreground: Foreground) => Promise<T>,
  signal: AbortSignal
): Promise<WatchedForeground<T>> {
  const started = Promise.withResolvers<void>()
  // Sections take turns: a phase, and what lies between it and the next.
  const names: string[] = []
  const phase = async <R>(name: string, work: () => Promise<R>): Promise<R> => {
    names.push(name)
    generator.mark()
    const done = await work()
    generator.mark()
    return done
  }
  const play = async (): Promise<T> => {
    await started.promise
    try {
      return await script({ phase })
    } finally {
      generator.finish()
    }
  }
  const load = generator.run(plan, signal, started.resolve)
  // A load that cannot even begin must not leave the script waiting for it.
  load.catch(started.reject)
  const [{ sections, errors }, result] = await Promise.all([load, play()])
  const phases = names.map((name, index) => ({
    name,
    latency: sections[2 * index + 1] ?? new LatencyHistogram().state()
  }))
  return { result, phases, errors }
}

export function reportOf(...states: readonly LatencyHistogramState[]): ForegroundReport {
  const latency = new LatencyHistogram()
  for (const state of states) latency.merge(state)
  return {
    operations: latency.count,
    p50Ms: latency.quantile(0.5) / 1000,
    p99Ms: latency.quantile(0.99) / 1000
  }
}
