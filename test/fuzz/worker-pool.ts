import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Finding, FuzzRange, Tally } from './fuzz-run.ts'

/** A stretch of the inputs of one target. */
export interface FuzzJob extends FuzzRange {
  readonly target: string
}

export interface JobResult {
  readonly tally: Tally
  readonly finding: Finding | null
}

const jobMsMax = 120_000

/**
 * Hands jobs to one thread for each core. A decoder that never comes back holds its thread, not the watch over it.
 *
 * Errors: rejects where a job takes minutes or a thread dies, naming the job.
 */
export async function runJobs(
  jobs: readonly FuzzJob[],
  onResult: (job: FuzzJob, result: JobResult) => void
): Promise<void> {
  const waiting = [...jobs].reverse()
  const threads = Math.min(availableParallelism(), waiting.length)
  const workers = Array.from(
    { length: threads },
    () => new Worker(new URL('./fuzz-worker.ts', import.meta.url))
  )
  const work = async (worker: Worker): Promise<void> => {
    for (let job = waiting.pop(); job !== undefined; job = waiting.pop()) {
      onResult(job, await runJob(worker, job))
    }
  }
  try {
    await Promise.all(workers.map(work))
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

function runJob(worker: Worker, job: FuzzJob): Promise<JobResult> {
  const name = `${job.target}, inputs ${job.from} to ${job.to} of seed ${job.seed}`
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      clearTimeout(timer)
      worker.off('message', succeed).off('error', fail).off('exit', exited)
      end()
    }
    const succeed = (result: JobResult): void => settle(() => resolve(result))
    const fail = (cause: Error): void => settle(() => reject(new Error(name, { cause })))
    const exited = (): void => fail(new Error('the thread ended'))
    const timer = setTimeout(() => fail(new Error(`no end after ${jobMsMax} ms`)), jobMsMax)
    worker.once('message', succeed).once('error', fail).once('exit', exited)
    worker.postMessage(job)
  })
}
