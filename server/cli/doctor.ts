import type { Command } from 'commander'
import { type Check, exitCodeFor } from './doctor-check.ts'
import { checkCluster } from './doctor-cluster.ts'
import { checkMachine } from './doctor-machine.ts'
import { CliExit, exitCodes } from './exit.ts'
import { addClusterOptions, addExamples, type ClusterOptions, connect } from './options.ts'
import { printable, table } from './table.ts'
import { json, painter, type Terminal, type Tone } from './terminal.ts'

interface DoctorOptions extends ClusterOptions {
  readonly data: string
}

const tones: Readonly<Record<Check['outcome'], Tone>> = { ok: 'good', warn: 'warning', fail: 'bad' }

/** `anneal doctor`: what is wrong here, and what to do. */
export function registerDoctor(program: Command, terminal: Terminal): void {
  const command = program
    .command('doctor')
    .summary('look for trouble, and say what to do')
    .description(
      'Look at this machine (Node.js, open files, disk, fsync) and at a cluster (who answers, versions, clocks, disks and limits of the nodes, repair, hints).\n\n' +
        'The exit code is 1 when something here is wrong or no node answers, 3 when the cluster is degraded.'
    )
    .option('--data <dir>', 'the directory whose disk to look at', '.')
    .action(async (options: DoctorOptions) => {
      const client = connect(options, terminal)
      const machine = await checkMachine(options.data)
      const checks = [...machine, ...(await checkCluster(client))]
      const exitCode = exitCodeFor(checks)
      const isJson = options.json === true
      await terminal.out(isJson ? json({ exitCode, checks }) : screen(checks, terminal))
      if (exitCode !== exitCodes.ok) throw new CliExit(exitCode)
    })
  addClusterOptions(command)
  addExamples(command, 'anneal doctor --data /var/lib/anneal')
}

function screen(checks: readonly Check[], terminal: Terminal): string {
  const paint = painter(terminal)
  const rows = checks.map(({ name, outcome, finding }) => [
    paint(tones[outcome], outcome),
    name,
    printable(finding)
  ])
  const advice = checks
    .filter((check) => check.advice !== '')
    .map((check) => `${check.name}: ${printable(check.advice)}\n`)
  const toDo =
    advice.length === 0 ? '' : `\nWhat to do:\n${advice.map((line) => `  ${line}`).join('')}`
  return `${table(['', 'check', 'found'], rows)}${toDo}`
}
