import { Command } from 'commander'
import { registerCompletion } from './completion.ts'
import { registerDemo } from './demo.ts'
import { registerDoctor } from './doctor.ts'
import { registerGet } from './get.ts'
import { registerHints } from './hints.ts'
import { registerKey } from './key.ts'
import { packageVersion } from './package-root.ts'
import { registerQuarantine } from './quarantine.ts'
import { registerRepair } from './repair.ts'
import { registerRing } from './ring.ts'
import { registerStart } from './start.ts'
import { registerStatus } from './status.ts'
import type { Terminal } from './terminal.ts'
import { registerDelete, registerPut } from './write-commands.ts'

/** The command line of Anneal, for the arguments that are going to be parsed. Parsing throws CommanderError instead of ending the process. */
export async function createProgram(args: readonly string[], terminal: Terminal): Promise<Command> {
  const program = new Command('anneal')
    .description('A replicated key-value store that repairs itself.')
    .version(packageVersion)
    .exitOverride()
    // An option belongs to the command that it stands behind: `repair pause --full` is a mistake, not a full repair.
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => void terminal.out(text),
      writeErr: (text) => terminal.err(text),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns
    })
    .showHelpAfterError('(add --help for usage and an example)')
  registerDemo(program, terminal)
  registerStart(program, terminal)
  registerGet(program, terminal)
  registerPut(program, terminal)
  registerDelete(program, terminal)
  registerStatus(program, terminal)
  registerRing(program, terminal)
  registerKey(program, terminal)
  registerRepair(program, terminal)
  registerHints(program, terminal)
  registerQuarantine(program, terminal)
  registerDoctor(program, terminal)
  registerCompletion(program, terminal)
  // A node that runs for months needs no load generator in its memory.
  if (args[0] !== 'start') {
    const { registerBench } = await import('../bench/command.ts')
    registerBench(program)
  }
  program.addHelpText(
    'after',
    '\nExample:\n  $ anneal demo\n\nExit codes: 0 ok, 1 failed, 2 wrong usage, 3 the cluster is degraded'
  )
  return program
}
