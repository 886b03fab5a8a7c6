import { parentPort } from 'node:worker_threads'
import { live } from './life.ts'
import type { LifeTask, WorkerMessage } from './runner-messages.ts'

/** Lives one life after the other, as it is told to, in a thread of its own. */

const port = parentPort
if (port === null) throw new Error('runner-worker.ts is started by runner-pool.ts, as a thread')
const tell = (message: WorkerMessage) => port.postMessage(message)

async function run({ seed, override }: LifeTask): Promise<void> {
  const before = process.threadCpuUsage()
  try {
    const report = await live(seed, override)
    const { user, system } = process.threadCpuUsage(before)
    tell({ kind: 'lived', report, cpuMs: (user + system) / 1000 })
  } catch (thrown) {
    // An error that got out of an event: no node and no client has caught it.
    const stack = thrown instanceof Error ? thrown.stack : undefined
    tell({ kind: 'threw', stack: stack ?? String(thrown) })
  }
}

port.on('message', (task: LifeTask) => void run(task))
tell({ kind: 'loaded' })
