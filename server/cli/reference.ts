import type { Command } from 'commander'
import { createProgram } from './program.ts'
import type { Terminal } from './terminal.ts'

/** Nothing of the machine may show in the reference, or it would differ from one to the next. */
export const blankTerminal: Terminal = {
  env: {},
  isInteractive: false,
  stdinIsInteractive: false,
  columns: 80,
  out: () => Promise.resolve(),
  err: () => {},
  readStdin: () => Promise.resolve(new Uint8Array())
}

/** Described on the page about benchmarks, with what the figures mean. */
const describedElsewhere = new Set(['bench', 'help'])

/** The help of the program and of every command, as Markdown. */
export async function commandReference(): Promise<string> {
  const program = await createProgram([], blankTerminal)
  const commands = program.commands.filter((command) => !describedElsewhere.has(command.name()))
  const sections = commands.map((command) => `## anneal ${command.name()}\n\n${helpBlock(command)}`)
  return [helpBlock(program), ...sections].join('\n\n')
}

function helpBlock(command: Command): string {
  const parts: string[] = []
  command.configureOutput({ writeOut: (text) => parts.push(text) })
  command.outputHelp()
  return `\`\`\`text\n${parts.join('').trim()}\n\`\`\``
}
