import { type LoadPlan, runLoad } from './http-load.ts'

/**
 * The program of a generator process: takes one plan after the other from its parent and answers each with its result.
 * It lives in a process of its own so that its CPU time and its pauses are not those of whoever measures.
 */

// Ctrl-C reaches every process of the terminal; the parent decides when this one ends.
process.on('SIGINT', () => {})

// A parent that is gone, in whatever way, must not leave load behind.
process.on('disconnect', () => process.exit())

process.on('message', async (message) => {
  // Only the parent can send here, and it is the same program.
  const plan = message as LoadPlan
  const before = process.cpuUsage()
  const result = await runLoad(plan)
  const used = process.cpuUsage(before)
  process.send?.({ ...result, cpuMicros: used.user + used.system })
})
