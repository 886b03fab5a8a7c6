import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { LifeReport } from './life.ts'
import { describeParameters, drawParameters } from './life-parameters.ts'
import type { LifeTask, WorkerMessage } from './runner-messages.ts'

export interface LifePoolOptions {
  /** Lives at a time; one for each core unless given. */
  readonly workers?: number
  /** The tree whose program is lived with; this one unless given. */
  readonly root?: string
  /** Of a thread's time; a life that takes longer is going round in circles. */
  readonly lifeCpuMsMax?: number
  readonly lookEveryMs?: number
}

export interface LifeOutcome {
  readonly report: LifeReport
  readonly cpuMs: number
}

interface Job {
  readonly task: LifeTask
  readonly resolve: (outcome: LifeOutcome) => void
  readonly reject: (error: Error) => void
}

interface Thread {
  readonly worker: Worker
  isLoaded: boolean
  job: Job | null
  timer: NodeJS.Timeout | null
}

// No life takes more than a few seconds. Real time would say little on a machine with other work.
const lifeCpuMsMaxDefault = 60_000
const lookEveryMsDefault = 30_000
/** A thread that does nothing at all waits for something that never comes. */
const looksMax = 60
const heapMebibytesMax = 1024
/** A life makes much garbage: a small young generation is collected so often that it costs a twelfth of all. */
const youngMebibytes = 192
const thisRoot = join(import.meta.dirname, '../..')

/**
 * Lives many lives at a time, in threads. A life that throws, or that ends its thread (a promise that nobody caught, no
 * memory left), or that does not end, is reported like one that violated an invariant: `exception` or `endless`.
 */
export class LifePool {
  readonly workers: number
  readonly #root: string
  readonly #lifeCpuMsMax: number
  readonly #lookEveryMs: number
  readonly #threads = new Set<Thread>()
  readonly #waiting: Job[] = []
  #closed = false

  constructor(options: LifePoolOptions = {}) {
    this.workers = Math.max(1, options.workers ?? availableParallelism())
    this.#root = options.root ?? thisRoot
    this.#lifeCpuMsMax = options.lifeCpuMsMax ?? lifeCpuMsMaxDefault
    this.#lookEveryMs = options.lookEveryMs ?? lookEveryMsDefault
  }

  /** Errors: rejects where the program cannot even be loaded, and for what waits when the pool is closed. */
  run(task: LifeTask): Promise<LifeOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, resolve, reject })
      this.#assign()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const closed = new Error('the pool was closed')
    for (const { reject } of this.#waiting.splice(0)) reject(closed)
    const threads = [...this.#threads]
    for (const thread of threads) {
      thread.job?.reject(closed)
      this.#release(thread)
    }
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  }

  #assign(): void {
    if (this.#waiting.length === 0 || this.#closed) return
    const idle = [...this.#threads].find((thread) => thread.isLoaded && thread.job === null)
    if (idle !== undefined) return this.#give(idle)
    const loading = [...this.#threads].filter((thread) => !thread.isLoaded).length
    if (this.#threads.size < this.workers && loading < this.#waiting.length) this.#startThread()
  }

  #give(thread: Thread): void {
    const job = this.#waiting.shift()
    if (job === undefined) return
    thread.job = job
    // Rejects where the thread has ended, which its own events tell.
    this.#watch(thread, job).catch(() => {})
    thread.worker.postMessage(job.task)
  }

  async #watch(thread: Thread, job: Job): Promise<void> {
    const { worker } = thread
    const before = await worker.cpuUsage()
    for (let look = 1; thread.job === job; look++) {
      await new Promise((resolve) => {
        thread.timer = setTimeout(resolve, this.#lookEveryMs)
      })
      const { user, system } = await worker.cpuUsage(before)
      if (thread.job !== job) return
      if ((user + system) / 1000 > this.#lifeCpuMsMax || look === looksMax) break
    }
    if (thread.job !== job) return
    this.#threads.delete(thread)
    const limit = `${this.#lifeCpuMsMax} ms of its thread's time`
    this.#fail(thread, 'endless', `it did not end within ${limit}`)
    void worker.terminate()
  }

  #startThread(): void {
    const worker = new Worker(join(this.#root, 'test/sim/runner-worker.ts'), {
      resourceLimits: {
        maxOldGenerationSizeMb: heapMebibytesMax,
        maxYoungGenerationSizeMb: youngMebibytes
      }
    })
    const thread: Thread = { worker, isLoaded: false, job: null, timer: null }
    this.#threads.add(thread)
    worker.on('message', (message: WorkerMessage) => this.#heard(thread, message))
    worker.on('error', (error: Error) => {
      if (thread.isLoaded) this.#fail(thread, 'exception', error.stack ?? error.message)
      else this.#cannotLoad(error)
    })
    worker.on('exit', () => {
      this.#threads.delete(thread)
      this.#assign()
    })
  }

  #heard(thread: Thread, message: WorkerMessage): void {
    switch (message.kind) {
      case 'loaded':
        thread.isLoaded = true
        break
      case 'lived':
        thread.job?.resolve(message)
        this.#release(thread)
        break
      case 'threw':
        this.#fail(thread, 'exception', message.stack)
        break
    }
    this.#assign()
  }

  #fail(thread: Thread, invariant: string, detail: string): void {
    const { job } = thread
    if (job !== null) job.resolve({ report: failedReport(job.task, invariant, detail), cpuMs: 0 })
    this.#release(thread)
  }

  #release(thread: Thread): void {
    if (thread.timer !== null) clearTimeout(thread.timer)
    thread.timer = null
    thread.job = null
  }

  #cannotLoad(cause: Error): void {
    const error = new Error(`the simulator in ${this.#root} cannot be loaded: ${cause.message}`, {
      cause
    })
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}

function failedReport(task: LifeTask, invariant: string, detail: string): LifeReport {
  const parameters = describeParameters({ ...drawParameters(task.seed), ...task.override })
  return {
    seed: task.seed,
    parameters,
    violations: [{ atMs: 0, invariant, detail, timeline: [] }],
    virtualMs: 0,
    operations: 0,
    acknowledged: 0,
    failed: 0,
    faults: 0,
    traceDigest: ''
  }
}
