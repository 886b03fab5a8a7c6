import { Argument, type Command } from 'commander'
import { commandTree } from './command-tree.ts'
import { bashCompletion } from './completion-bash.ts'
import { fishCompletion } from './completion-fish.ts'
import { zshCompletion } from './completion-zsh.ts'
import { addExamples } from './options.ts'
import type { Terminal } from './terminal.ts'

const writers = { bash: bashCompletion, fish: fishCompletion, zsh: zshCompletion } as const

type Shell = keyof typeof writers

/** `anneal completion`: made from the commands themselves, so that it knows what they know. */
export function registerCompletion(program: Command, terminal: Terminal): void {
  const command = program
    .command('completion')
    .summary('a script with which a shell completes commands')
    .description(
      'Print a script with which a shell completes commands, options and those values of which there are few.'
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(writers)))
    .action((shell: Shell) => terminal.out(writers[shell](commandTree(program))))
  addExamples(
    command,
    'anneal completion bash > ~/.local/share/bash-completion/completions/anneal',
    'anneal completion zsh > ~/.zfunc/_anneal',
    'anneal completion fish > ~/.config/fish/completions/anneal.fish'
  )
}
