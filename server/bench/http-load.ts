import { LatencyHistogram, type LatencyHistogramState } from './histogram.ts'
import { LoadConnection, type LoadTally } from './load-connection.ts'
import { createOperation, type OperationKind } from './operation.ts'
import { createPace } from './pace.ts'
import { createKeySources, type KeySelection, seedOf } from './random-keys.ts'
import { RequestWriter } from './request-writer.ts'

const sweepIntervalMs = 250

export interface LoadTarget {
  readonly host: string
  readonly port: number
}

/** Everything that decides a run; plain data, so that it can be given to another process. */
export interface LoadPlan {
  /** Connections are spread over the targets in turn. */
  readonly targets: readonly LoadTarget[]
  readonly operation: OperationKind
  readonly bucket: string
  readonly keys: KeySelection
  readonly valueBytes: number
  /** The connections of this generator: a part, by number, of those of the whole run. */
  readonly connections: { readonly first: number; readonly count: number }
  /** No operation begins later; null: until the keys are used up. */
  readonly durationMs: number | null
  /** An operation that takes longer is an error, and its connection is replaced. */
  readonly timeoutMs: number
  /** Of all connections of this generator together, evenly; as fast as they are answered unless given. */
  readonly opsPerSecond?: number
}

/** What can be asked of a run under way. */
export interface LoadControls {
  /** Begins another section: latencies are told for each of them. */
  mark(): void
  /** No operation begins any more. */
  finish(): void
}

/** Every operation that was begun is in `latency` or in `errors`; plain data like the plan. */
export interface LoadResult {
  /** Of the operations that succeeded. */
  readonly latency: LatencyHistogramState
  /** The same for each section, in order; one unless others were begun. */
  readonly sections: readonly LatencyHistogramState[]
  readonly errors: ReadonlyMap<string, number>
  readonly reconnects: number
  /** From the first request to the last answer. */
  readonly elapsedMs: number
}

/**
 * Runs the plan on this thread. The connections are opened before the time begins to count; `onStart` is called when it
 * does.
 */
export async function runLoad(
  plan: LoadPlan,
  onStart: (controls: LoadControls) => void = () => {}
): Promise<LoadResult> {
  const tally: LoadTally = {
    latency: new LatencyHistogram(),
    errors: new Map(),
    reconnects: 0,
    lastAnswerAt: 0
  }
  const sections: LatencyHistogramState[] = []
  const mark = (): void => {
    sections.push(tally.latency.state())
    tally.latency = new LatencyHistogram()
  }
  const pace = plan.opsPerSecond === undefined ? null : createPace(plan.opsPerSecond)
  const opening: Promise<void>[] = []
  const running: Promise<void>[] = []
  const connections = createKeySources(plan.keys, plan.connections).map((nextKey, index) => {
    const number = plan.connections.first + index
    const target = targetOf(plan, number)
    const ready = Promise.withResolvers<void>()
    const end = Promise.withResolvers<void>()
    opening.push(ready.promise)
    running.push(end.promise)
    const requests = new RequestWriter({
      host: hostHeader(target),
      bucket: plan.bucket,
      valueBytes: plan.valueBytes,
      seed: seedOf(plan.keys.kind === 'random' ? plan.keys.seed : 0, number)
    })
    return new LoadConnection({
      ...target,
      operation: createOperation(plan.operation, requests, plan.valueBytes),
      nextKey,
      pace,
      tally,
      onReady: ready.resolve,
      onEnd: end.resolve
    })
  })
  const sweeper = setInterval(() => {
    const startedBefore = performance.now() - plan.timeoutMs
    for (const connection of connections) connection.sweep(startedBefore)
  }, sweepIntervalMs)
  await Promise.all(opening)

  const startedAt = performance.now()
  const deadline = startedAt + (plan.durationMs ?? Number.POSITIVE_INFINITY)
  for (const connection of connections) connection.start(deadline)
  const finish = (): void => {
    for (const connection of connections) connection.finish()
  }
  onStart({ mark, finish })
  await Promise.all(running)
  clearInterval(sweeper)

  mark()
  return {
    latency: mergeLatencies(sections),
    sections,
    errors: tally.errors,
    reconnects: tally.reconnects,
    elapsedMs: Math.max(0, tally.lastAnswerAt - startedAt)
  }
}

export function mergeLatencies(states: readonly LatencyHistogramState[]): LatencyHistogramState {
  const merged = new LatencyHistogram()
  for (const state of states) merged.merge(state)
  return merged.state()
}

function targetOf(plan: LoadPlan, connection: number): LoadTarget {
  const target = plan.targets[connection % plan.targets.length]
  if (target === undefined) throw new TypeError('a load plan needs at least one target')
  return target
}

function hostHeader(target: LoadTarget): string {
  const host = target.host.includes(':') ? `[${target.host}]` : target.host
  return `${host}:${target.port}`
}
