import type { Log, RandomSource, TimerHandle, Timers } from '../../core/ports.ts'

export interface UpkeepTask {
  /** For the log. */
  readonly name: string
  /** Between the end of one time and the beginning of the next. */
  readonly everyMs: number
  readonly run: () => Promise<unknown>
}

export interface UpkeepOptions {
  readonly timers: Timers
  readonly random: RandomSource
  readonly log: Log
  readonly tasks: readonly UpkeepTask[]
}

/**
 * What is done over and over in the background: each task by itself, never twice at the same time, and with a jitter, so
 * that nodes that were started together do not work in step.
 */
export class Upkeep {
  readonly #options: UpkeepOptions
  readonly #timers = new Map<UpkeepTask, TimerHandle>()
  readonly #running = new Set<Promise<void>>()
  #stopped = true

  constructor(options: UpkeepOptions) {
    this.#options = options
  }

  start(): void {
    this.#stopped = false
    for (const task of this.#options.tasks) this.#schedule(task)
  }

  /** Begins nothing any more. Resolves when what was in progress has ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const timer of this.#timers.values()) this.#options.timers.clear(timer)
    this.#timers.clear()
    await Promise.all(this.#running)
  }

  #schedule(task: UpkeepTask): void {
    if (this.#stopped) return
    const delayMs = task.everyMs * (0.9 + this.#options.random.fraction() / 5)
    const timer = this.#options.timers.set(() => this.#begin(task), delayMs)
    this.#timers.set(task, timer)
  }

  #begin(task: UpkeepTask): void {
    this.#timers.delete(task)
    const running: Promise<void> = this.#run(task).then(() => {
      this.#running.delete(running)
      this.#schedule(task)
    })
    this.#running.add(running)
  }

  // The next time may succeed; a storage that has failed stops the node by itself.
  async #run({ name, run }: UpkeepTask): Promise<void> {
    try {
      await run()
    } catch (thrown) {
      if (this.#stopped) return
      this.#options.log.warn({ task: name, error: String(thrown) }, 'upkeep has failed')
    }
  }
}
