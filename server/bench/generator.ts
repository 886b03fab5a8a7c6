import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { programBeside } from '../program-beside.ts'
import { type LoadPlan, type LoadResult, mergeLatencies } from './http-load.ts'
import type { KeySelection } from './random-keys.ts'

/** What one generator process answers, and what several have answered together. */
export interface GeneratorResult extends LoadResult {
  /** User and system time that the generator used. */
  readonly cpuMicros: number
}

/** A plan for all processes together: each takes its share of the connections. */
export type GeneratorPlan = Omit<LoadPlan, 'connections'> & { readonly connections: number }

/** What a generator process is told. */
export type GeneratorMessage =
  | { readonly kind: 'plan'; readonly plan: LoadPlan }
  | { readonly kind: 'mark' }
  | { readonly kind: 'finish' }

/** What it says: that the time of its run has begun to count, and what came of it. */
export type GeneratorAnswer =
  | { readonly kind: 'started' }
  | { readonly kind: 'result'; readonly result: GeneratorResult }

/** Load generators, each in a process of its own. `stop` must be called, or the processes stay as long as this one. */
export class GeneratorPool {
  readonly #processes: readonly ChildProcess[]

  constructor(processes: number) {
    const program = programBeside(import.meta.url, 'generator-process')
    this.#processes = Array.from({ length: processes }, () =>
      fork(program, { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    )
  }

  /**
   * `onStart` is called when every process has its connections open and begins. Errors: rejects where a process ends
   * before it has answered, and with the signal's reason once that is aborted.
   */
  async run(
    plan: GeneratorPlan,
    signal: AbortSignal,
    onStart: () => void = () => {}
  ): Promise<GeneratorResult> {
    const ended = new AbortController()
    try {
      const plans = sharePlan(plan, this.#processes.length)
      let starting = plans.length
      const started = (): void => {
        if (--starting === 0) onStart()
      }
      const results = plans.map((share, index) =>
        runShare(this.#processes[index], share, AbortSignal.any([signal, ended.signal]), started)
      )
      return mergeResults(await Promise.all(results))
    } finally {
      ended.abort()
    }
  }

  /** Begins another section of the run under way. */
  mark(): void {
    this.#tell({ kind: 'mark' })
  }

  /** Lets the run under way end: no operation begins any more. */
  finish(): void {
    this.#tell({ kind: 'finish' })
  }

  #tell(message: GeneratorMessage): void {
    for (const process of this.#processes) if (isRunning(process)) process.send(message)
  }

  async stop(): Promise<void> {
    const running = this.#processes.filter(hasNotEnded)
    const exits = running.map((process) => once(process, 'exit'))
    for (const process of running) process.kill('SIGKILL')
    await Promise.all(exits)
  }
}

/** That a process has ended may be known before its channel is known to be closed. */
function isRunning(process: ChildProcess): boolean {
  return process.connected && hasNotEnded(process)
}

function hasNotEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null
}

async function runShare(
  process: ChildProcess | undefined,
  plan: LoadPlan,
  signal: AbortSignal,
  onStart: () => void
): Promise<GeneratorResult> {
  if (process === undefined || !isRunning(process)) {
    throw new Error('the load generator is not running')
  }
  const answer = Promise.withResolvers<GeneratorResult>()
  const onMessage = (received: unknown): void => {
    // Only the child can send here, and it is the same program.
    const message = received as GeneratorAnswer
    if (message.kind === 'started') onStart()
    else answer.resolve(message.result)
  }
  const onExit = (): void => answer.reject(new Error('the load generator ended unexpectedly'))
  const onAbort = (): void => answer.reject(signal.reason)
  process.on('message', onMessage)
  process.on('exit', onExit)
  signal.addEventListener('abort', onAbort)
  try {
    signal.throwIfAborted()
    const message: GeneratorMessage = { kind: 'plan', plan }
    process.send(message)
    return await answer.promise
  } finally {
    process.off('message', onMessage)
    process.off('exit', onExit)
    signal.removeEventListener('abort', onAbort)
  }
}

/** The plans of the single processes; processes for which there is no connection get none. */
export function sharePlan(plan: GeneratorPlan, processes: number): LoadPlan[] {
  const shares = Math.min(processes, plan.connections)
  return Array.from({ length: shares }, (_, share) => {
    const first = Math.floor((plan.connections * share) / shares)
    const end = Math.floor((plan.connections * (share + 1)) / shares)
    const { opsPerSecond } = plan
    return {
      ...plan,
      keys: shareKeys(plan.keys, share, shares),
      connections: { first, count: end - first },
      ...(opsPerSecond === undefined ? {} : { opsPerSecond: opsPerSecond / shares })
    }
  })
}

function shareKeys(keys: KeySelection, share: number, shares: number): KeySelection {
  if (keys.kind === 'random') return keys
  const count = keys.to - keys.from
  return {
    kind: 'each',
    from: keys.from + Math.floor((count * share) / shares),
    to: keys.from + Math.floor((count * (share + 1)) / shares)
  }
}

function mergeResults(results: readonly GeneratorResult[]): GeneratorResult {
  const errors = new Map<string, number>()
  for (const result of results) {
    for (const [name, count] of result.errors) errors.set(name, (errors.get(name) ?? 0) + count)
  }
  const sum = (of: (result: GeneratorResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0)
  const sections = Array.from(
    { length: Math.max(...results.map((result) => result.sections.length)) },
    (_, index) => mergeLatencies(results.flatMap((result) => result.sections[index] ?? []))
  )
  return {
    latency: mergeLatencies(sections),
    sections,
    errors,
    reconnects: sum((result) => result.reconnects),
    elapsedMs: Math.max(...results.map((result) => result.elapsedMs)),
    cpuMicros: sum((result) => result.cpuMicros)
  }
}
