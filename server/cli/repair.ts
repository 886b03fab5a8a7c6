import type { Command } from 'commander'
import type { AnnealClient } from '../../client/client.ts'
import type { RepairRunStatus, RepairStatus } from '../../client/repair-types.ts'
import { surveyMembers } from './cluster-survey.ts'
import { CliExit, type ExitCode, exitCodes } from './exit.ts'
import {
  addClusterOptions,
  addExamples,
  type ClusterOptions,
  connect,
  optionsWithParents,
  wholeNumber
} from './options.ts'
import { runSummary } from './progress-bar.ts'
import { printable, showDuration, showSize, table } from './table.ts'
import { json, painter, type Terminal } from './terminal.ts'
import { type ProgressStyle, watchRepair } from './watch-repair.ts'

interface RepairCommandOptions extends ClusterOptions {
  readonly full?: boolean
  readonly dryRun?: boolean
  readonly partition?: number
  readonly watch?: boolean
  readonly all?: boolean
}

const partitionMax = 65_535

/** `anneal repair` and its subcommands. */
export function registerRepair(program: Command, terminal: Terminal): void {
  const command = program
    .command('repair')
    .summary('compare the replicas, and bring them together')
    .description(
      'Compare all that one node shares with the others, and bring both sides together where they differ. ' +
        'Ctrl-C ends the watching, not the repair.\n\n' +
        'The exit code is 1 when it fails, 3 when members could not be reached.'
    )
    .option('--full', 'recompute the trees from the rows first, on both sides')
    .option('--dry-run', 'find and count differences, ship nothing')
    .option('--partition <number>', 'only this partition', wholeNumber(0, partitionMax))
    .option('--all', 'on every member that answers, one after the other')
    .option('--watch', 'show the progress on stderr also where stdout is no terminal')
    .action(async (options: RepairCommandOptions) => {
      const runs: NodeRun[] = []
      for (const { node, client } of await nodesFor(options, terminal)) {
        const id = await client.startRepair(wishesOf(options))
        const run = await watchRepair(client, id, terminal, progressStyle(options, terminal))
        runs.push(node === null ? run : { node, ...run })
      }
      const isText = terminal.isInteractive && options.json !== true
      const document = options.all === true ? { runs } : runs[0]
      await terminal.out(isText ? summary(runs, terminal) : json(document))
      const exitCode = exitCodeFor(runs)
      if (exitCode !== exitCodes.ok) throw new CliExit(exitCode)
    })
  addClusterOptions(command)
  addExamples(
    command,
    'anneal repair',
    'anneal repair --full --partition 17',
    'anneal repair pause',
    'anneal repair status --json'
  )
  registerSubcommands(command, terminal)
}

function registerSubcommands(repair: Command, terminal: Terminal): void {
  for (const [name, meaning] of [
    ['pause', 'let the node begin no repair by itself, until it is resumed'],
    ['resume', 'let the node repair by itself again']
  ] as const) {
    const command = repair.command(name).description(`Background repair: ${meaning}.`)
    command.action(async (_options: ClusterOptions, self: Command) => {
      const options = optionsWithParents<ClusterOptions>(self)
      const background = await connect(options, terminal).switchRepair(name)
      const text = `background repair is ${background.state}${printable(because(background.reason))}\n`
      await terminal.out(options.json === true ? json(background) : text)
    })
    addClusterOptions(command)
    addExamples(command, `anneal repair ${name} --node http://127.0.0.1:8802`)
  }
  const status = repair
    .command('status')
    .description('Show what repair does on a node, and how old its knowledge is.')
    .action(async (_options: ClusterOptions, self: Command) => {
      const options = optionsWithParents<ClusterOptions>(self)
      const found = await connect(options, terminal).repair()
      await terminal.out(options.json === true ? json(found) : screen(found, terminal))
    })
  addClusterOptions(status)
  addExamples(status, 'anneal repair status')
  const cancel = repair
    .command('cancel')
    .description('Cancel a repair: from now on nothing is written on its behalf.')
    .argument('<id>', 'of the repair; `anneal repair status --json` lists them')
    .action(async (id: string, _options: ClusterOptions, self: Command) => {
      const options = optionsWithParents<ClusterOptions>(self)
      const run = await connect(options, terminal).cancelRepair(id)
      await terminal.out(options.json === true ? json(run) : `${runSummary(run)}\n`)
    })
  addClusterOptions(cancel)
  addExamples(cancel, 'anneal repair cancel 5f0c2a9b1d3e4f60')
}

/** The node that was asked for, or every member that answers. */
/** Its id is not known where whoever was named is asked. */
interface AskedNode {
  readonly node: string | null
  readonly client: AnnealClient
}

/** A repair, with the node that did it where several did one. */
type NodeRun = RepairRunStatus & { readonly node?: string }

async function nodesFor(
  options: RepairCommandOptions,
  terminal: Terminal
): Promise<readonly AskedNode[]> {
  const entry = connect(options, terminal)
  if (options.all !== true) return [{ node: null, client: entry }]
  const answers = await surveyMembers(await entry.status())
  return answers
    .filter(({ answer }) => !('failure' in answer))
    .map(({ member }) => ({
      node: member.id,
      client: connect({ node: member.http }, terminal)
    }))
}

function wishesOf({ full, dryRun, partition }: RepairCommandOptions) {
  return {
    mode: full === true ? ('full' as const) : ('incremental' as const),
    dryRun: dryRun === true,
    ...(partition === undefined ? {} : { partitions: [partition] })
  }
}

function progressStyle(options: RepairCommandOptions, terminal: Terminal): ProgressStyle {
  const noColor = terminal.env['NO_COLOR'] ?? ''
  if (terminal.isInteractive && options.json !== true && noColor === '') return 'bar'
  return options.watch === true ? 'lines' : 'none'
}

function exitCodeFor(runs: readonly RepairRunStatus[]): ExitCode {
  if (runs.some(({ state }) => state !== 'done')) return exitCodes.failed
  return runs.some(({ skipped }) => skipped.length > 0) ? exitCodes.degraded : exitCodes.ok
}

function summary(runs: readonly NodeRun[], terminal: Terminal): string {
  const paint = painter(terminal)
  return runs
    .map(({ node, ...run }) => {
      const tone = run.state === 'done' && run.skipped.length === 0 ? 'good' : 'bad'
      const who = node === undefined ? '' : `${printable(node)}: `
      return `${who}${paint(tone, runSummary(run))}\n`
    })
    .join('')
}

function screen(status: RepairStatus, terminal: Terminal): string {
  const { background, summary: ages, peers, exchanges } = status
  const paint = painter(terminal)
  const tone = background.state === 'running' ? 'good' : 'warning'
  const age =
    ages.oldestEqualSeconds === null
      ? `${ages.neverEqual} partitions were never found equal`
      : `every partition was found equal within the last ${showDuration(ages.oldestEqualSeconds)}`
  const rate = `up to ${showSize(background.bytesPerSecond)}/s of ${showSize(background.bytesPerSecondMax)}/s`
  const rows = peers.map(({ peer, up, partitions, early, reason }) => {
    const exchange = exchanges.find((one) => one.peer === peer)
    const doing =
      exchange === undefined
        ? (reason ?? '-')
        : `comparing ${exchange.partitions} partitions, ${exchange.differences} differences so far`
    const state = up ? paint('good', 'up') : paint('bad', 'down')
    return [printable(peer), state, String(partitions), String(early), printable(doing)]
  })
  const states = Object.entries(ages.partitions).map(([state, number]) => `${number} ${state}`)
  return [
    `background repair is ${paint(tone, background.state)}${printable(because(background.reason))}, ${rate}\n`,
    `${age}; ${printable(states.join(', '))}\n\n`,
    table(['peer', 'seen', 'partitions', 'early', 'now'], rows)
  ].join('')
}

function because(reason: string | null): string {
  return reason === null ? '' : ` (${reason})`
}
