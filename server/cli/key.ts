import type { Command } from 'commander'
import type { KeyStatus, ReplicaVersion } from '../../client/types.ts'
import { CliExit, exitCodes } from './exit.ts'
import { addClusterOptions, addExamples, type ClusterOptions, connect } from './options.ts'
import { count, printable, table } from './table.ts'
import { json, painter, type Terminal } from './terminal.ts'

/** `anneal key`: what every replica holds, side by side. */
export function registerKey(program: Command, terminal: Terminal): void {
  const command = program
    .command('key')
    .summary('what every replica holds for a key')
    .description(
      'Show what every replica holds for a key, side by side.\n\n' +
        'The exit code is 3 when a replica cannot be reached.'
    )
    .argument('<bucket>', 'a name; buckets need not be made first')
    .argument('<key>', 'any text')
    .action(async (bucket: string, key: string, options: ClusterOptions) => {
      const status = await connect(options, terminal).key(bucket, key)
      const isJson = options.json === true
      const shown = isJson
        ? json({ bucket, key, ...status })
        : screen(bucket, key, status, terminal)
      await terminal.out(shown)
      const isPartial = status.replicas.some((replica) => replica.state === 'unreachable')
      if (isPartial) throw new CliExit(exitCodes.degraded)
    })
  addClusterOptions(command)
  addExamples(command, 'anneal key users ada')
}

type Replica = KeyStatus['replicas'][number]

function screen(bucket: string, key: string, status: KeyStatus, terminal: Terminal): string {
  const { partition, leaf, replicas } = status
  const paint = painter(terminal)
  const etags = new Set(
    replicas.flatMap(({ versions }) => (versions ?? []).map(({ etag }) => etag))
  )
  const rows = [
    [
      'state',
      ...replicas.map(({ state }) => paint(state === 'ok' ? 'good' : 'bad', printable(state)))
    ],
    ['digest', ...replicas.map(({ digest }) => printable((digest ?? '-').slice(0, 16)))],
    ...[...etags].sort().map((etag) => [printable(etag), ...replicas.map((one) => cell(one, etag))])
  ]
  const head = ['', ...replicas.map(({ node }) => printable(node))]
  const heading = `${printable(`${bucket}/${key}`)}: partition ${partition}, leaf ${leaf}\n\n`
  return `${heading}${table(head, rows)}\n${verdict(replicas)}\n`
}

function cell(replica: Replica, etag: string): string {
  const version = (replica.versions ?? []).find((candidate) => candidate.etag === etag)
  return version === undefined ? '-' : describe(version)
}

function describe(version: ReplicaVersion): string {
  const what = version.tombstone ? 'deleted' : count(version.bytes, 'byte')
  return printable(`${what}, ${version.lastModified}`)
}

function verdict(replicas: readonly Replica[]): string {
  const reached = replicas.filter(({ state }) => state !== 'unreachable')
  const missed = replicas.length - reached.length
  const others = missed === 0 ? '' : `; ${missed} could not be reached`
  if (reached.every(({ state }) => state === 'missing')) return `no replica holds the key${others}`
  const contents = new Set(reached.map(({ state, digest }) => `${state} ${digest ?? ''}`))
  if (contents.size > 1)
    return `the replicas differ; a read or a repair brings them together${others}`
  return `${missed === 0 ? 'all' : reached.length} replicas are equal${others}`
}
