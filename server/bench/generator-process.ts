import type { GeneratorMessage } from './generator.ts'
import { type LoadControls, runLoad } from './http-load.ts'

/**
 * The program of a generator process: takes one plan after the other from its parent and answers each with its result.
 * It lives in a process of its own so that its CPU time and its pauses are not those of whoever measures.
 */

// Ctrl-C reaches every process of the terminal; the parent decides when this one ends.
process.on('SIGINT', () => {})

// A parent that is gone, in whatever way, must not leave load behind.
process.on('disconnect', () => process.exit())

let controls: LoadControls | null = null

process.on('message', async (received) => {
  // Only the parent can send here, and it is the same program.
  const message = received as GeneratorMessage
  if (message.kind === 'mark') controls?.mark()
  else if (message.kind === 'finish') controls?.finish()
  else {
    const before = process.cpuUsage()
    const result = await runLoad(message.plan, (started) => {
      controls = started
      process.send?.({ kind: 'started' })
    })
    controls = null
    const used = process.cpuUsage(before)
    const cpuMicros = used.user + used.system
    process.send?.({ kind: 'result', result: { ...result, cpuMicros } })
  }
})
