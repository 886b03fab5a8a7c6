import type { Command } from 'commander'
import type { RingStatus } from '../../client/types.ts'
import { addClusterOptions, addExamples, type ClusterOptions, connect } from './options.ts'
import { printable, table } from './table.ts'
import { json, type Terminal } from './terminal.ts'

interface Balance {
  readonly node: string
  readonly owned: number
  readonly held: number
  /** The share of all partitions that it owns, in percent. */
  readonly ownedPercent: number
}

/** `anneal ring`: partitions, their replicas, and how even it is. */
export function registerRing(program: Command, terminal: Terminal): void {
  const command = program
    .command('ring')
    .summary('partitions and their owners')
    .description(
      'Show every partition with its owner and its other replicas, and the balance below.'
    )
    .action(async (options: ClusterOptions) => {
      const ring = await connect(options, terminal).ring()
      const balance = balanceOf(ring)
      const isJson = options.json === true
      await terminal.out(isJson ? json({ ...ring, balance }) : screen(ring, balance))
    })
  addClusterOptions(command)
  addExamples(command, 'anneal ring')
}

function balanceOf(ring: RingStatus): readonly Balance[] {
  const owned = new Map<string, number>()
  const held = new Map<string, number>()
  for (const { replicas } of ring.partitions) {
    for (const [position, node] of replicas.entries()) {
      held.set(node, (held.get(node) ?? 0) + 1)
      owned.set(node, (owned.get(node) ?? 0) + (position === 0 ? 1 : 0))
    }
  }
  const partitions = Math.max(ring.partitions.length, 1)
  return [...held.keys()].sort().map((node) => {
    const count = owned.get(node) ?? 0
    const ownedPercent = Math.round((count / partitions) * 1000) / 10
    return { node, owned: count, held: held.get(node) ?? 0, ownedPercent }
  })
}

function screen(ring: RingStatus, balance: readonly Balance[]): string {
  const partitions = ring.partitions.map(({ id, replicas, pending }) => {
    const [owner = '-', ...others] = replicas.map(printable)
    return [String(id), owner, others.join(' ') || '-', pending.map(printable).join(' ')]
  })
  const nodes = balance.map(({ node, owned, held, ownedPercent }) => [
    printable(node),
    String(owned),
    `${ownedPercent}%`,
    String(held)
  ])
  return [
    table(['partition', 'owner', 'further replicas', 'moving to'], partitions),
    `\nring ${ring.epoch}, ${ring.partitions.length} partitions\n\n`,
    table(['node', 'owns', 'share', 'holds'], nodes)
  ].join('')
}
