import type { Argument, Command, Option } from 'commander'

/** What comes behind an option: nothing, one of some words, a path, or text of which nothing is known. */
export type OptionValue =
  | { readonly kind: 'none' | 'file' | 'directory' | 'text' }
  | { readonly kind: 'choice'; readonly choices: readonly string[] }

export interface TreeOption {
  /** As they are typed: `-h`, `--help`. */
  readonly names: readonly string[]
  readonly value: OptionValue
  readonly description: string
}

export interface TreeCommand {
  /** The words behind `anneal`; none for the program itself. */
  readonly place: readonly string[]
  readonly description: string
  readonly command: Command
  readonly subcommands: readonly { readonly name: string; readonly description: string }[]
  readonly options: readonly TreeOption[]
  /** The words that its arguments take, where these are limited to some. */
  readonly argumentChoices: readonly string[]
}

/** The program and every command below it, each before those below it. */
export function commandTree(program: Command): readonly TreeCommand[] {
  return walk(program, [])
}

function walk(command: Command, place: readonly string[]): readonly TreeCommand[] {
  const help = command.createHelp()
  const subcommands = help
    .visibleCommands(command)
    .map((one) => ({ name: one.name(), description: help.subcommandDescription(one) }))
  const own: TreeCommand = {
    place,
    description: help.subcommandDescription(command),
    command,
    subcommands,
    options: help.visibleOptions(command).map(describeOption),
    argumentChoices: command.registeredArguments.flatMap(choicesOf)
  }
  return [own, ...command.commands.flatMap((one) => walk(one, [...place, one.name()]))]
}

function describeOption(option: Option): TreeOption {
  const { short, long, description } = option
  const names = [short, long].filter((name) => name !== undefined)
  return { names, value: kindOfValue(option), description }
}

function kindOfValue(option: Option): OptionValue {
  if (!option.required && !option.optional) return { kind: 'none' }
  if (option.argChoices !== undefined) return { kind: 'choice', choices: option.argChoices }
  if (option.flags.endsWith('<file>')) return { kind: 'file' }
  return { kind: option.flags.endsWith('<dir>') ? 'directory' : 'text' }
}

function choicesOf(argument: Argument): readonly string[] {
  return argument.argChoices ?? []
}
