import type { Command } from 'commander'
import { AnnealClient } from '../../client/client.ts'
import { AnnealClientError } from '../../client/client-error.ts'
import type { HintBacklog } from '../../client/repair-types.ts'
import type { MemberStatus } from '../../client/types.ts'
import { CliExit, exitCodes } from './exit.ts'
import { addClusterOptions, addExamples, type ClusterOptions, connect } from './options.ts'
import { printable, showDuration, showSize, table } from './table.ts'
import { json, painter, type Terminal } from './terminal.ts'

const memberTimeoutMs = 5000

interface NodeHints {
  readonly node: string
  /** Null where the node did not answer. */
  readonly hints: readonly HintBacklog[] | null
  readonly failure: string | null
}

/** `anneal hints`: what waits where for whom. */
export function registerHints(program: Command, terminal: Terminal): void {
  const command = program
    .command('hints')
    .summary('what waits for nodes that could not be reached')
    .description(
      'Show the writes that every node keeps for others that could not be reached.\n\n' +
        'The exit code is 3 when a member does not answer.'
    )
    .action(async (options: ClusterOptions) => {
      const entry = await connect(options, terminal).status()
      const members = entry.cluster.members.filter(({ state }) => state !== 'removed')
      const nodes = await Promise.all(members.map(ask))
      await terminal.out(options.json === true ? json({ nodes }) : screen(nodes, terminal))
      if (nodes.some(({ hints }) => hints === null)) throw new CliExit(exitCodes.degraded)
    })
  addClusterOptions(command)
  addExamples(command, 'anneal hints', 'anneal hints --json')
}

async function ask({ id, http }: MemberStatus): Promise<NodeHints> {
  try {
    const client = new AnnealClient({ nodes: [http], timeoutMs: memberTimeoutMs })
    return { node: id, hints: await client.hints(), failure: null }
  } catch (thrown) {
    // TypeError: what the member is said to listen on is no address.
    if (!(thrown instanceof AnnealClientError || thrown instanceof TypeError)) throw thrown
    return { node: id, hints: null, failure: thrown.message }
  }
}

function screen(nodes: readonly NodeHints[], terminal: Terminal): string {
  const paint = painter(terminal)
  const rows = nodes.flatMap(({ node, hints }) =>
    (hints ?? []).map(({ target, count, bytes, oldestSeconds }) => [
      printable(node),
      printable(target),
      String(count),
      showSize(bytes),
      oldestSeconds === null ? '-' : showDuration(oldestSeconds)
    ])
  )
  const failures = nodes.flatMap(({ node, failure }) =>
    failure === null ? [] : [`${paint('bad', printable(`${node} does not answer: ${failure}`))}\n`]
  )
  const nothing = failures.length === 0 ? 'no hints: every write has reached its replicas\n' : ''
  const shown =
    rows.length === 0 ? nothing : table(['kept by', 'for', 'hints', 'bytes', 'oldest'], rows)
  return [shown, ...failures].join('')
}
