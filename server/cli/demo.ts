import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Command } from 'commander'
import { DemoNode } from './demo-node.ts'
import { type DemoOptions, demoEnvironment, planDemo } from './demo-plan.ts'
import { CliExit, exitCodes } from './exit.ts'
import { requireFreePorts } from './free-ports.ts'
import { addExamples, wholeNumber } from './options.ts'
import { count, table } from './table.ts'
import type { Terminal } from './terminal.ts'

const readyTimeoutMs = 30_000
const pollMs = 40
/** Longer than a node takes to drain (`http.drainMs`), so that only one that hangs is ended by force. */
const stopGraceMs = 10_000

/** `anneal demo`: a cluster of real processes on this machine. */
export function registerDemo(program: Command, terminal: Terminal): void {
  const port = wholeNumber(1, 65_535)
  const command = program
    .command('demo')
    .summary('run a whole cluster on this machine')
    .description('Run a whole cluster on this machine, one process a node, until Ctrl-C.')
    .option('--nodes <count>', 'how many nodes', wholeNumber(1, 32), 3)
    .option('--data <dir>', 'keep the data there (default: a temporary directory that goes away)')
    .option('--http-port <port>', 'the first HTTP port; the others follow', port, 8801)
    .option('--peer-port <port>', 'the first peer port; the others follow', port, 9801)
    .action((options: DemoOptions) => runDemo(options, terminal))
  addExamples(command, 'anneal demo', 'anneal demo --nodes 5 --data ./demo-data')
}

async function runDemo(options: DemoOptions, terminal: Terminal): Promise<void> {
  const interruption = watchForSignals()
  const startedAt = performance.now()
  let nodes: readonly DemoNode[] = []
  let temporary: string | null = null
  let isAnnounced = false
  try {
    await requireFreePorts('127.0.0.1', plannedPorts(options, terminal))
    if (options.data === undefined) temporary = mkdtempSync(join(tmpdir(), 'anneal-demo-'))
    const directory = temporary ?? resolve(options.data ?? '')
    mkdirSync(directory, { recursive: true })
    const { signal } = interruption
    nodes = startNodes(options, directory, terminal, signal, () => isAnnounced)
    await untilReady(nodes, interruption.signal)
    if (!interruption.signal.aborted) {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      isAnnounced = true
      await terminal.out(welcome(nodes, directory, temporary !== null, seconds))
    }
    await Promise.race([interruption.happened, Promise.all(nodes.map((node) => node.exited))])
    if (!interruption.signal.aborted) {
      throw new CliExit(exitCodes.failed, 'every node has ended, and so does the demo')
    }
    terminal.err('anneal: stopping\n')
  } finally {
    interruption.interrupt()
    await Promise.all(nodes.map((node) => node.stop(stopGraceMs)))
    if (temporary !== null) rmSync(temporary, { recursive: true, force: true, maxRetries: 5 })
    interruption.dispose()
  }
}

interface Interruption {
  readonly signal: AbortSignal
  readonly happened: Promise<void>
  interrupt(): void
  /** Gives the signals back to Node, which ends the process at the next one. */
  dispose(): void
}

/**
 * Ctrl-C reaches the whole process group, and npm forwards what it gets: one request to stop may arrive as several
 * signals. The first one counts, the others are ignored while the nodes drain.
 */
function watchForSignals(): Interruption {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const controller = new AbortController()
  const happened = new Promise<void>((resolve) => {
    controller.signal.addEventListener('abort', () => resolve(), { once: true })
  })
  const interrupt = (): void => controller.abort()
  for (const name of signals) process.on(name, interrupt)
  const dispose = (): void => {
    for (const name of signals) process.off(name, interrupt)
  }
  return { signal: controller.signal, happened, interrupt, dispose }
}

function plannedPorts(
  options: DemoOptions,
  terminal: Terminal
): readonly { readonly port: number; readonly purpose: string }[] {
  return planDemo(options, '', terminal.env).flatMap(({ id, httpPort, peerPort }) => [
    { port: httpPort, purpose: `HTTP of ${id}` },
    { port: peerPort, purpose: `the peers of ${id}` }
  ])
}

function startNodes(
  options: DemoOptions,
  directory: string,
  terminal: Terminal,
  stopping: AbortSignal,
  announced: () => boolean
): readonly DemoNode[] {
  const env = demoEnvironment(terminal.env)
  const nodes: DemoNode[] = []
  for (const plan of planDemo(options, directory, env)) {
    const onLine = (line: string): void => terminal.err(`${plan.id} | ${line}\n`)
    const onExit = (how: string): void => {
      if (stopping.aborted) return
      const others = nodes.filter((node) => node.isRunning).length
      const rest = others === 0 ? '' : `; ${others} still running`
      terminal.err(`anneal: ${plan.id} has ended (${how})${rest}\n`)
      const isWorthIt = others > 0 && announced()
      if (isWorthIt)
        terminal.err(`        start it again with: npx anneal ${plan.args.join(' ')}\n`)
    }
    nodes.push(new DemoNode(plan, env, { onLine, onExit }))
  }
  return nodes
}

/** Resolves when every node serves, or when the demo is to stop. Errors: CliExit where one ends or takes too long. */
async function untilReady(nodes: readonly DemoNode[], stopping: AbortSignal): Promise<void> {
  const deadline = performance.now() + readyTimeoutMs
  const waiting = new Set(nodes)
  while (waiting.size > 0 && !stopping.aborted) {
    for (const node of waiting) {
      if (await node.isReady()) waiting.delete(node)
      else if (!node.isRunning) {
        const message = `${node.plan.id} ended before it was ready; its messages are above`
        throw new CliExit(exitCodes.failed, message)
      }
    }
    if (performance.now() > deadline) {
      const ids = [...waiting].map((node) => node.plan.id).join(', ')
      const message = `${ids} did not become ready within ${readyTimeoutMs / 1000} s`
      throw new CliExit(exitCodes.failed, message)
    }
    if (waiting.size > 0) await delay(pollMs)
  }
}

function welcome(
  nodes: readonly DemoNode[],
  directory: string,
  isTemporary: boolean,
  seconds: string
): string {
  const [first, second = first] = nodes
  const rows = nodes.map((node) => [
    `  ${node.plan.id}`,
    node.url,
    `127.0.0.1:${node.plan.peerPort}`,
    String(node.pid)
  ])
  const path = 'kv/demo/greeting'
  return [
    `Anneal runs on this machine: ${count(nodes.length, 'node')}, ready after ${seconds} s.\n\n`,
    table(['  node', 'HTTP', 'peers', 'pid'], rows),
    '\nWrite on one node, read on another:\n\n',
    `  curl -X PUT -H 'Content-Type: text/plain' --data 'hello' ${first?.url}/${path}\n`,
    `  curl ${second?.url}/${path}\n`,
    `\nDashboard: ${first?.url}/\n`,
    `Data:      ${directory}${isTemporary ? ' (goes away with the demo)' : ''}\n`,
    'Stop:      Ctrl-C\n'
  ].join('')
}
