import { type Command, InvalidArgumentError, Option } from 'commander'
import { AnnealClient } from '../../client/client.ts'
import type { Quorum } from '../../client/types.ts'
import { quorumNames } from '../config/setting-kinds.ts'
import { CliExit, exitCodes } from './exit.ts'
import type { Terminal } from './terminal.ts'

/** What every command that talks to a cluster takes. */
export interface ClusterOptions {
  readonly node?: string
  readonly json?: boolean
}

const defaultNode = 'http://127.0.0.1:8801'

/** Adds `--node` and `--json`. */
export function addClusterOptions(command: Command): Command {
  return command
    .option(
      '--node <url>',
      `a node to ask; several with commas (default: ANNEAL_NODE or ${defaultNode})`
    )
    .option('--json', 'one JSON document on stdout')
}

/** An example below the help of a command. */
export function addExamples(command: Command, ...examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ ${example}`)
  const heading = examples.length === 1 ? 'Example:' : 'Examples:'
  return command.addHelpText('after', ['', heading, ...lines].join('\n'))
}

/**
 * The options of a command over those of the commands above it, so that both `anneal repair --json status` and
 * `anneal repair status --json` are understood. What was given wins over a default.
 */
export function optionsWithParents<T extends object>(command: Command): T {
  const lineage: Command[] = []
  for (let one: Command | null = command; one !== null; one = one.parent) lineage.unshift(one)
  const merged: Record<string, unknown> = {}
  for (const one of lineage) {
    for (const [name, value] of Object.entries(one.opts())) {
      if (!(name in merged) || one.getOptionValueSource(name) === 'cli') merged[name] = value
    }
  }
  return merged as T
}

/** The base URLs that were asked for: from the flag, or from the environment, where a variable that is empty is none. */
export function nodeUrls(
  options: ClusterOptions,
  terminal: Pick<Terminal, 'env'>
): readonly string[] {
  const inEnvironment = terminal.env['ANNEAL_NODE'] ?? ''
  const given = options.node ?? (inEnvironment === '' ? defaultNode : inEnvironment)
  return given.split(',').map((url) => url.trim())
}

/** A client for the nodes that were asked for. Errors: CliExit with the code for usage where they are no URLs. */
export function connect(options: ClusterOptions, terminal: Terminal): AnnealClient {
  const nodes = nodeUrls(options, terminal)
  try {
    return new AnnealClient({ nodes })
  } catch (thrown) {
    if (!(thrown instanceof TypeError)) throw thrown
    const what = `${JSON.stringify(nodes.join(','))} is not the URL of a node`
    throw new CliExit(exitCodes.usage, `${what}; give one such as ${defaultNode}`)
  }
}

/** `--r` or `--w`. */
export function quorumOption(name: 'r' | 'w', meaning: string): Option {
  return new Option(`--${name} <quorum>`, `${meaning}: a number, or a word`)
    .choices(quorumNames)
    .argParser(parseQuorum)
}

function parseQuorum(written: string): Quorum {
  const name = quorumNames.find((candidate) => candidate === written)
  if (name !== undefined) return name
  if (/^[1-9][0-9]{0,2}$/.test(written)) return Number(written)
  throw new InvalidArgumentError(`It takes a number, or ${quorumNames.join(', ')}.`)
}

/** A parser for a whole number in a range. */
export function wholeNumber(minimum: number, maximum: number): (written: string) => number {
  return (written) => {
    const value = Number(written)
    if (/^[0-9]+$/.test(written) && value >= minimum && value <= maximum) return value
    throw new InvalidArgumentError(`It takes a whole number from ${minimum} to ${maximum}.`)
  }
}
