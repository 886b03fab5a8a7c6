import type { Command } from 'commander'
import type { AnnealClient } from '../../client/client.ts'
import type { Quorum, WriteResult } from '../../client/types.ts'
import { CliExit, exitCodes } from './exit.ts'
import {
  addClusterOptions,
  addExamples,
  type ClusterOptions,
  connect,
  quorumOption
} from './options.ts'
import { count, printable } from './table.ts'
import { json, type Terminal } from './terminal.ts'

interface WriteOptions extends ClusterOptions {
  readonly context?: string
  readonly r?: Quorum
  readonly w?: Quorum
  readonly blind?: boolean
}

interface PutOptions extends WriteOptions {
  readonly contentType: string
}

/** `anneal put`: one value, from the command line or from stdin. */
export function registerPut(program: Command, terminal: Terminal): void {
  const command = program
    .command('put')
    .summary('store a value')
    .description(
      'Store a value. What the key holds is read first, so that it is replaced, several values at once included; ' +
        'with --blind it is not, and the new value may end up beside the old one.'
    )
    .argument('<bucket>', 'a name; buckets need not be made first')
    .argument('<key>', 'any text')
    .argument('[value]', 'the value; - or nothing: read it from stdin')
    .option('--content-type <type>', 'kept with the value', 'text/plain; charset=utf-8')
    .action(async (bucket: string, key: string, given: string | undefined, options: PutOptions) => {
      const client = connect(options, terminal)
      const value = await readValue(given, terminal)
      const before = await whatIsThere(client, bucket, key, options)
      const { context } = before
      const { contentType, w } = options
      const result = await client.put(bucket, key, value, { context, contentType, w })
      const said = `stored ${count(value.length, 'byte')} as ${printable(`${bucket}/${key}`)}`
      await report({ bucket, key, before, result, said }, options, terminal)
    })
  addWriteOptions(command)
  addExamples(command, 'anneal put users ada "Ada Lovelace"', 'anneal put images logo - < logo.png')
}

/** `anneal delete`. */
export function registerDelete(program: Command, terminal: Terminal): void {
  const command = program
    .command('delete')
    .summary('delete a key')
    .description(
      'Delete a key. What it holds is read first, and exactly that is deleted; with --blind everything that the ' +
        'asked node knows.'
    )
    .argument('<bucket>', 'a name; buckets need not be made first')
    .argument('<key>', 'any text')
    .action(async (bucket: string, key: string, options: WriteOptions) => {
      const client = connect(options, terminal)
      const before = await whatIsThere(client, bucket, key, options)
      const { context } = before
      const result = await client.delete(bucket, key, { context, w: options.w })
      const said = `deleted ${printable(`${bucket}/${key}`)}`
      await report({ bucket, key, before, result, said }, options, terminal)
    })
  addWriteOptions(command)
  addExamples(command, 'anneal delete users ada')
}

function addWriteOptions(command: Command): void {
  command
    .option('--context <context>', 'what was read before, instead of reading it now')
    .option('--blind', 'do not read first')
    .addOption(quorumOption('r', 'replicas that must answer what is read first'))
    .addOption(quorumOption('w', 'replicas that must have stored it'))
  addClusterOptions(command)
}

async function readValue(given: string | undefined, terminal: Terminal): Promise<Uint8Array> {
  if (given !== undefined && given !== '-') return Buffer.from(given)
  if (given === undefined && terminal.stdinIsInteractive) {
    throw new CliExit(exitCodes.usage, 'no value: give one, or - to type it and end with Ctrl-D')
  }
  return terminal.readStdin()
}

interface Before {
  readonly context: string | undefined
  /** How many values the write replaces; more than one means that it settles siblings. */
  readonly values: number
}

async function whatIsThere(
  client: AnnealClient,
  bucket: string,
  key: string,
  options: WriteOptions
): Promise<Before> {
  if (options.blind === true && options.context !== undefined) {
    throw new CliExit(exitCodes.usage, '--blind and --context exclude each other')
  }
  if (options.context !== undefined) return { context: options.context, values: 0 }
  if (options.blind === true) return { context: undefined, values: 0 }
  const result = await client.get(bucket, key, { r: options.r })
  const context = result.context ?? undefined
  const values =
    result.kind === 'siblings' ? result.siblings.length : result.kind === 'value' ? 1 : 0
  return { context, values }
}

interface Outcome {
  readonly bucket: string
  readonly key: string
  readonly before: Before
  readonly result: WriteResult
  /** The outcome in words. */
  readonly said: string
}

async function report(outcome: Outcome, options: WriteOptions, terminal: Terminal): Promise<void> {
  const { bucket, key, before, result, said } = outcome
  const settled = before.values > 1 ? before.values : 0
  if (options.json === true) {
    const { context, etag } = result
    await terminal.out(json({ bucket, key, context, etag, siblingsSettled: settled }))
  } else await terminal.out(`${said}\n`)
  if (settled > 0) {
    const why = 'from writes that had not seen each other'
    terminal.err(`anneal: this settled ${settled} values, ${why}\n`)
  }
}
