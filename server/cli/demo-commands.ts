import type { Command } from 'commander'
import type { DemoCommand } from './demo-actions.ts'
import { controlPath, sendCommand } from './demo-control.ts'
import { divergedKeys } from './demo-keys.ts'
import { defaultHttpPort } from './demo-plan.ts'
import { addExamples, optionsWithParents, wholeNumber } from './options.ts'
import { printable } from './table.ts'
import { json, type Terminal } from './terminal.ts'

const portNumber = wholeNumber(1, 65_535)
const divergedKeysMax = 100_000

interface RunningDemoOptions {
  /** The first HTTP port of the demo, by which several are told apart. */
  readonly httpPort: number
  readonly json?: boolean
}

/** Adds what a running demo can be asked for from another terminal. */
export function registerDemoCommands(demo: Command, terminal: Terminal): void {
  const send = async (self: Command, command: DemoCommand): Promise<void> => {
    const { httpPort, json: asJson } = optionsWithParents<RunningDemoOptions>(self)
    const say = (line: string): void => {
      if (asJson !== true) void terminal.out(`${printable(line)}\n`)
    }
    const result = await sendCommand(controlPath(httpPort), command, say)
    if (asJson === true) await terminal.out(json(result))
  }
  const add = (name: string, description: string): Command =>
    demo
      .command(name)
      .description(description)
      .option('--http-port <port>', 'the first HTTP port of the demo', portNumber, defaultHttpPort)
      .option('--json', 'one JSON document on stdout')

  const kill = add('kill', 'Kill a node of the running demo with SIGKILL.')
    .argument('[node]', 'its id (default: the last one that runs)')
    .action((node: string | undefined, _options: object, self: Command) =>
      send(self, { kind: 'kill', node: node ?? null })
    )
  addExamples(kill, 'anneal demo kill n2')
  const revive = add('revive', 'Start a node again that is down; with its data, as it left it.')
    .argument('[node]', 'its id (default: all that are down)')
    .action((node: string | undefined, _options: object, self: Command) =>
      send(self, { kind: 'revive', node: node ?? null })
    )
  addExamples(revive, 'anneal demo revive n2')
  const diverge = add(
    'diverge',
    'Make the replicas differ: write keys, then set one node back to a copy of its disk from before. ' +
      'Background repair is paused until `anneal demo repair`, so that there is time to look.'
  )
    .argument('[node]', 'the node that is set back (default: the last one that runs)')
    .option('--keys <count>', 'how many', wholeNumber(1, divergedKeysMax), divergedKeys)
    .action((node: string | undefined, options: { readonly keys: number }, self: Command) =>
      send(self, { kind: 'diverge', node: node ?? null, keys: options.keys })
    )
  addExamples(diverge, 'anneal demo diverge', 'anneal demo diverge n2 --keys 20000')
  const repair = add(
    'repair',
    'Bring the replicas of the running demo together, resume background repair, and compare the roots.'
  ).action((_options: object, self: Command) => send(self, { kind: 'repair' }))
  addExamples(repair, 'anneal demo repair', 'anneal demo repair --http-port 8901 --json')
}
