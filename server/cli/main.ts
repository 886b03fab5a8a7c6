import { CommanderError } from 'commander'
import { AnnealClientError } from '../../client/client-error.ts'
import { type ExitCode, exitCodes, exitFor } from './exit.ts'
import { createProgram } from './program.ts'
import { json, processTerminal, type Terminal } from './terminal.ts'

/** Runs one command line in this process and sets its exit code; does not end it, since a node goes on living. */
export async function main(args: readonly string[]): Promise<void> {
  const exitCode = await runCommand(args, processTerminal())
  if (exitCode !== exitCodes.ok) process.exitCode = exitCode
}

/** Runs one command line (without `node` and the program) and says with which code the process is to end. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const program = await createProgram(args, terminal)
    await program.parseAsync(args, { from: 'user' })
    return exitCodes.ok
  } catch (thrown) {
    // Commander has written its message already; what it throws for --help and --version is no failure.
    if (thrown instanceof CommanderError) {
      return thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    }
    const exit = exitFor(thrown)
    if (exit.message !== '') terminal.err(`anneal: ${exit.message}\n`)
    if (thrown instanceof AnnealClientError && args.includes('--json')) {
      await terminal.out(json({ error: thrown.problem }))
    }
    return exit.exitCode
  }
}
