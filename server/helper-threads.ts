import { readdirSync, readFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'

/** By so much more than the process has, as `nice` counts: a tenth of what it gets where all want a processor. */
const nicer = 10
const nicenessMax = 19
const threads = '/proc/self/task'
const helperName = 'V8Worker'

/**
 * Lets the threads give way on which V8 collects garbage and compiles: otherwise each collection of the whole heap takes
 * a processor from the nodes of the machine for some hundred milliseconds, and users wait. What they leave undone V8
 * does itself, bit by bit. Only Linux has priorities for threads; elsewhere they stay as they are.
 */
export function lowerHelperThreads(): void {
  if (process.platform !== 'linux') return
  try {
    const niceness = Math.min(getPriority() + nicer, nicenessMax)
    for (const thread of readdirSync(threads)) {
      if (readFileSync(`${threads}/${thread}/comm`, 'utf8').trim() !== helperName) continue
      setPriority(Number(thread), niceness)
    }
  } catch {
    // Without /proc, or where a sandbox forbids it, nothing is lost but some politeness.
  }
}
