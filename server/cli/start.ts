import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Command } from 'commander'
import type { ConfigFlags } from '../config/flag-layer.ts'
import { loadConfig } from '../config/load-config.ts'
import { addExamples } from './options.ts'
import type { Terminal } from './terminal.ts'

/** `anneal start`: this process becomes a node. */
export function registerStart(program: Command, terminal: Terminal): void {
  const command = program
    .command('start')
    .summary('run one node, in the foreground')
    .description(
      'Run one node, in the foreground. SIGTERM and SIGINT stop it in order.\n\n' +
        'Flags win over ANNEAL_* variables, those over the file, the file over the defaults.'
    )
    .option('--config <file>', 'settings in YAML')
    .option('--id <id>', 'the name of this node, unique in the cluster')
    .option('--data <dir>', 'where the data is kept')
    .option('--http <address>', 'where clients are served, host:port')
    .option('--peer <address>', 'where other nodes are served, host:port')
    .option('--seeds <addresses>', 'peer addresses to find the cluster by, separated by commas')
    .option('--zone <zone>', 'the zone of this node; replicas are spread over zones')
    .option('--region <region>', 'the region of this node')
    .option('--set <path=value>', 'any other setting; may be repeated', appendTo, [])
    .action(async (flags: ConfigFlags) => {
      const readFile = (path: string): string => readFileSync(path, 'utf8')
      const config = loadConfig({ flags, env: terminal.env, readFile })
      if (terminal.env['ANNEAL_PARENT_PIPE'] === '1') stopWithParent()
      const { runNode } = await import('../process.ts')
      await runNode(config)
    })
  addExamples(
    command,
    'anneal start --id n1 --data ./n1 --seeds 127.0.0.1:9801,127.0.0.1:9802',
    'anneal start --config anneal.yaml --set repair.intervalMs=30000'
  )
}

function appendTo(written: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, written]
}

/**
 * Stops this process in order when stdin ends, that is, when the process at its other end is gone, however it went:
 * even one that was killed with SIGKILL leaves no nodes behind.
 */
function stopWithParent(): void {
  const { stdin } = process
  let isStopping = false
  const stop = (): void => {
    if (isStopping) return
    isStopping = true
    process.kill(process.pid, 'SIGTERM')
  }
  stdin.once('end', stop).once('close', stop).once('error', stop)
  stdin.resume()
  // The pipe must not keep a node alive that has stopped for another reason.
  if (stdin instanceof Socket) stdin.unref()
}
