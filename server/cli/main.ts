import { CommanderError } from 'commander'
import { AnnealClientError } from '../../client/client-error.ts'
import { type CliExit, type ExitCode, exitCodes, exitFor } from './exit.ts'
import { createProgram } from './program.ts'
import { json, processTerminal, type Terminal } from './terminal.ts'

/** Runs one command line in this process and sets its exit code; does not end it, since a node goes on living. */
export async function main(args: readonly string[]): Promise<void> {
  const exitCode = await runCommand(args, processTerminal())
  if (exitCode !== exitCodes.ok) process.exitCode = exitCode
}

/** Runs one command line (without `node` and the program) and says with which code the process is to end. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let hasAnswered = false
  const out: Terminal['out'] = (data) => {
    hasAnswered = true
    return terminal.out(data)
  }
  try {
    const program = await createProgram(args, { ...terminal, out })
    await program.parseAsync(args, { from: 'user' })
    return exitCodes.ok
  } catch (thrown) {
    const exit = exitFor(thrown)
    // Commander has written its message already.
    const isSaid = thrown instanceof CommanderError || exit.message === ''
    if (!isSaid) terminal.err(`anneal: ${exit.message}\n`)
    const isFailure = exit.exitCode !== exitCodes.ok && exit.message !== ''
    if (isFailure && args.includes('--json') && !hasAnswered) {
      await terminal.out(json({ error: problemOf(thrown, exit) }))
    }
    return exit.exitCode
  }
}

/** What went wrong, for a program: what the node said, or else in the same form what the command did. */
function problemOf(thrown: unknown, { exitCode, message }: CliExit): object {
  if (thrown instanceof AnnealClientError) return thrown.problem
  return { code: exitCode === exitCodes.usage ? 'usage' : 'failed', detail: message }
}
