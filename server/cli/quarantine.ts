import type { Command } from 'commander'
import { AnnealClient } from '../../client/client.ts'
import { AnnealClientError } from '../../client/client-error.ts'
import type { QuarantineEntry } from '../../client/repair-types.ts'
import type { MemberStatus } from '../../client/types.ts'
import { CliExit, exitCodes } from './exit.ts'
import {
  addClusterOptions,
  addExamples,
  type ClusterOptions,
  connect,
  optionsWithParents
} from './options.ts'
import { printable, showSize, table } from './table.ts'
import { json, painter, type Terminal } from './terminal.ts'

const memberTimeoutMs = 5000

interface NodeQuarantine {
  readonly node: string
  readonly http: string
  /** Null where the node did not answer. */
  readonly entries: readonly QuarantineEntry[] | null
  readonly failure: string | null
}

/** `anneal quarantine`: what came up again after it had been done away with. */
export function registerQuarantine(program: Command, terminal: Terminal): void {
  const command = program
    .command('quarantine')
    .summary('versions that came up again after they were deleted')
    .description(
      'Show the versions that nodes have set aside, because they came up again after all replicas had done away with them.\n\n' +
        'The exit code is 3 when a member does not answer.'
    )
    .action(async (options: ClusterOptions) => {
      const nodes = await askAll(options, terminal)
      const told = nodes.map(({ node, entries, failure }) => ({ node, entries, failure }))
      await terminal.out(options.json === true ? json({ nodes: told }) : screen(nodes, terminal))
      if (nodes.some(({ entries }) => entries === null)) throw new CliExit(exitCodes.degraded)
    })
  addClusterOptions(command)
  addExamples(
    command,
    'anneal quarantine',
    'anneal quarantine restore 0123456789abcdef0123456789abcdef'
  )
  const restore = command
    .command('restore')
    .description('Write a version anew, so that it lives again on every replica.')
    .argument('<id>', 'as `anneal quarantine` shows it')
    .action((id: string, _options: ClusterOptions, self: Command) =>
      settle('restore', id, optionsWithParents(self), terminal)
    )
  addClusterOptions(restore)
  addExamples(restore, 'anneal quarantine restore 0123456789abcdef0123456789abcdef')
  const drop = command
    .command('drop')
    .description('Delete a version for good, on every node that has set it aside.')
    .argument('<id>', 'as `anneal quarantine` shows it')
    .action((id: string, _options: ClusterOptions, self: Command) =>
      settle('drop', id, optionsWithParents(self), terminal)
    )
  addClusterOptions(drop)
  addExamples(drop, 'anneal quarantine drop 0123456789abcdef0123456789abcdef')
}

/** Restored once, and dropped wherever else it is. */
async function settle(
  what: 'restore' | 'drop',
  id: string,
  options: ClusterOptions,
  terminal: Terminal
): Promise<void> {
  const nodes = await askAll(options, terminal)
  const keepers = nodes.filter(({ entries }) => entries?.some((entry) => entry.id === id) === true)
  if (keepers.length === 0) {
    throw new CliExit(exitCodes.failed, `no node that answers has ${printable(id)} in quarantine`)
  }
  for (const [i, { http }] of keepers.entries()) {
    const client = new AnnealClient({ nodes: [http], timeoutMs: memberTimeoutMs })
    if (what === 'restore' && i === 0) await client.restoreQuarantined(id)
    else await client.dropQuarantined(id)
  }
  const done = what === 'restore' ? 'restored' : 'dropped'
  const names = keepers.map(({ node }) => node)
  const shown = options.json === true ? json({ id, done, nodes: names }) : `${done} ${id}\n`
  await terminal.out(shown)
}

async function askAll(options: ClusterOptions, terminal: Terminal): Promise<NodeQuarantine[]> {
  const status = await connect(options, terminal).status()
  const members = status.cluster.members.filter(({ state }) => state !== 'removed')
  return Promise.all(members.map(ask))
}

async function ask({ id, http }: MemberStatus): Promise<NodeQuarantine> {
  try {
    const client = new AnnealClient({ nodes: [http], timeoutMs: memberTimeoutMs })
    return { node: id, http, entries: await client.quarantine(), failure: null }
  } catch (thrown) {
    // TypeError: what the member is said to listen on is no address.
    if (!(thrown instanceof AnnealClientError || thrown instanceof TypeError)) throw thrown
    return { node: id, http, entries: null, failure: thrown.message }
  }
}

function screen(nodes: readonly NodeQuarantine[], terminal: Terminal): string {
  const paint = painter(terminal)
  const rows = nodes.flatMap(({ node, entries }) =>
    (entries ?? []).map(({ id, bucket, key, since, tombstone, bytes }) => [
      id,
      printable(`${bucket}/${key}`),
      printable(node),
      printable(since),
      tombstone ? 'deleted' : showSize(bytes)
    ])
  )
  const failures = nodes.flatMap(({ node, failure }) =>
    failure === null ? [] : [`${paint('bad', printable(`${node} does not answer: ${failure}`))}\n`]
  )
  const nothing = failures.length === 0 ? 'nothing is in quarantine\n' : ''
  const shown =
    rows.length === 0 ? nothing : table(['id', 'key', 'kept by', 'since', 'value'], rows)
  return [shown, ...failures].join('')
}
