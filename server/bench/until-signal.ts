import { CliExit, exitCodes } from '../cli/exit.ts'

const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/**
 * Runs a benchmark that a signal interrupts in good order: null then, and the exit code is set to what a shell expects.
 * Errors: CliExit with the message of whatever else ended it.
 */
export async function untilSignal<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
  const interrupt = new AbortController()
  const onSignal = (signal: keyof typeof signals): void => {
    const exitCode = 128 + signals[signal]
    // Whoever asks twice does not want to wait; what must not stay behind is removed on exit.
    if (interrupt.signal.aborted) process.exit(exitCode)
    process.exitCode = exitCode
    process.stderr.write(`interrupted by ${signal}, cleaning up\n`)
    interrupt.abort()
  }
  for (const signal of signalNames()) process.on(signal, onSignal)
  try {
    return await run(interrupt.signal)
  } catch (error) {
    if (interrupt.signal.aborted) return null
    throw new CliExit(exitCodes.failed, error instanceof Error ? error.message : String(error))
  } finally {
    for (const signal of signalNames()) process.off(signal, onSignal)
  }
}

function signalNames(): (keyof typeof signals)[] {
  return ['SIGHUP', 'SIGINT', 'SIGTERM']
}
