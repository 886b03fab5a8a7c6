import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { DemoActions, type DemoCommand } from './demo-actions.ts'
import { DemoCluster } from './demo-cluster.ts'
import { registerDemoCommands } from './demo-commands.ts'
import { controlPath, takeCommands } from './demo-control.ts'
import { isInForeground, type KeyWish, keysHelp, readKeys } from './demo-keys.ts'
import { type DemoOptions, defaultHttpPort, demoEnvironment, planDemo } from './demo-plan.ts'
import { welcome } from './demo-welcome.ts'
import { CliExit, exitCodes, exitFor } from './exit.ts'
import { requireFreePorts } from './free-ports.ts'
import { addExamples, wholeNumber } from './options.ts'
import type { Terminal } from './terminal.ts'

/** `anneal demo`: a cluster of real processes on this machine, and what can be asked of it while it runs. */
export function registerDemo(program: Command, terminal: Terminal): void {
  const port = wholeNumber(1, 65_535)
  const command = program
    .command('demo')
    .summary('run a whole cluster on this machine')
    .description(
      'Run a whole cluster on this machine, one process a node, until Ctrl-C.\n\n' +
        `On a terminal single keys act on it: ${keysHelp}. ` +
        'The commands below do the same from another terminal.'
    )
    .option('--nodes <count>', 'how many nodes', wholeNumber(1, 32), 3)
    .option('--data <dir>', 'keep the data there (default: a temporary directory that goes away)')
    .option('--http-port <port>', 'the first HTTP port; the others follow', port, defaultHttpPort)
    .option('--peer-port <port>', 'the first peer port; the others follow', port, 9801)
    .action((options: DemoOptions) => runDemo(options, terminal))
  registerDemoCommands(command, terminal)
  addExamples(command, 'anneal demo', 'anneal demo --nodes 5 --data ./demo-data')
}

async function runDemo(options: DemoOptions, terminal: Terminal): Promise<void> {
  const interruption = watchForSignals()
  const startedAt = performance.now()
  const { signal } = interruption
  let cluster: DemoCluster | null = null
  let temporary: string | null = null
  let giveBack = (): void => {}
  try {
    await requireFreePorts('127.0.0.1', plannedPorts(options, terminal))
    if (options.data === undefined) temporary = mkdtempSync(join(tmpdir(), 'anneal-demo-'))
    const directory = temporary ?? resolve(options.data ?? '')
    mkdirSync(directory, { recursive: true })
    cluster = createCluster(options, directory, terminal, signal)
    cluster.start()
    await cluster.untilReady(cluster.nodes)
    if (!signal.aborted) {
      giveBack = await takeWishes(options, cluster, terminal, interruption)
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      const { httpPort } = options
      const isTemporary = temporary !== null
      const place = { directory, isTemporary, seconds, httpPort, hasKeys: hasKeys(terminal) }
      await terminal.out(welcome(cluster.nodes, place))
    }
    await Promise.race([interruption.happened, cluster.ended])
    if (!signal.aborted) {
      throw new CliExit(exitCodes.failed, 'every node has ended, and so does the demo')
    }
    terminal.err('anneal: stopping\n')
  } finally {
    interruption.interrupt()
    giveBack()
    await cluster?.stop()
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

function createCluster(
  options: DemoOptions,
  directory: string,
  terminal: Terminal,
  stopping: AbortSignal
): DemoCluster {
  const env = demoEnvironment(terminal.env)
  const cluster: DemoCluster = new DemoCluster(
    planDemo(options, directory, env),
    env,
    {
      onLine: ({ plan }, line) => terminal.err(`${plan.id} | ${line}\n`),
      onExit: ({ plan }, how) => {
        if (stopping.aborted) return
        const others = cluster.running.length
        const rest = others === 0 ? '' : `; ${others} still running`
        terminal.err(`anneal: ${plan.id} has ended (${how})${rest}\n`)
        if (others > 0) terminal.err(`        start it again with: anneal demo revive ${plan.id}\n`)
      }
    },
    stopping
  )
  return cluster
}

function hasKeys(terminal: Terminal): boolean {
  return terminal.stdinIsInteractive && terminal.isInteractive && isInForeground()
}

/** Takes commands from other terminals, and single keys from this one. Answers with a function that ends both. */
async function takeWishes(
  options: DemoOptions,
  cluster: DemoCluster,
  terminal: Terminal,
  interruption: Interruption
): Promise<() => void> {
  const actions = new DemoActions(cluster)
  const show = (line: string): void => void terminal.out(`${line}\n`)
  const release: (() => void)[] = []
  try {
    // What is asked for elsewhere is shown here too: whoever watches should know why a node went away.
    const run = (command: DemoCommand, say: (line: string) => void) =>
      actions.run(command, (line) => {
        show(line)
        say(line)
      })
    release.push(await takeCommands(controlPath(options.httpPort), run))
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    terminal.err(`anneal: other terminals cannot control this demo: ${reason}\n`)
  }
  const onWish = (wish: KeyWish): void => {
    if (wish.kind === 'stop') interruption.interrupt()
    else if (wish.kind === 'help') show(keysHelp)
    else {
      actions.run(wish.command, show).catch((thrown: unknown) => {
        if (!interruption.signal.aborted) terminal.err(`anneal: ${exitFor(thrown).message}\n`)
      })
    }
  }
  if (hasKeys(terminal)) release.push(readKeys(process.stdin, onWish))
  return () => {
    for (const end of release) end()
  }
}
