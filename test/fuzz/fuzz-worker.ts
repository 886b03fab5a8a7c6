import { parentPort } from 'node:worker_threads'
import { fuzz, timeMsMax } from './fuzz-run.ts'
import { targetOf } from './targets.ts'
import type { FuzzJob } from './worker-pool.ts'

/** The program of a thread: takes one job after the other and answers each with its result. */

parentPort?.on('message', (message) => {
  // Only the main thread of the same program can send here.
  const job = message as FuzzJob
  const target = targetOf(job.target, job.seed)
  if (target === null) throw new Error(`there is no target ${job.target}`)
  parentPort?.postMessage(fuzz(target, job, { timeMsMax }))
})
