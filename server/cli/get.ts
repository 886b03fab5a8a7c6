import type { Command } from 'commander'
import type { GetResult, Quorum, Sibling, ValueInfo } from '../../client/types.ts'
import { CliExit, exitCodes } from './exit.ts'
import {
  addClusterOptions,
  addExamples,
  type ClusterOptions,
  connect,
  quorumOption
} from './options.ts'
import { count, printable, table } from './table.ts'
import { json, type Terminal } from './terminal.ts'

interface GetOptions extends ClusterOptions {
  readonly context?: string
  readonly r?: Quorum
}

/** `anneal get`: the raw bytes of one value. */
export function registerGet(program: Command, terminal: Terminal): void {
  const command = program
    .command('get')
    .summary('write the value of a key to stdout')
    .description(
      'Write the value of a key to stdout, byte for byte.\n\n' +
        'Where writes did not see each other the key has several values: they are listed, and the exit code is 1.'
    )
    .argument('<bucket>', 'a name; buckets need not be made first')
    .argument('<key>', 'any text')
    .option('--context <context>', 'answer at least what this context has seen')
    .addOption(quorumOption('r', 'replicas that must answer'))
    .addOption(quorumOption('w', 'without effect, as a read stores nothing'))
    .action(async (bucket: string, key: string, options: GetOptions) => {
      const { context, r } = options
      const result = await connect(options, terminal).get(bucket, key, { context, r })
      const name = printable(`${bucket}/${key}`)
      if (options.json === true) {
        await terminal.out(json({ bucket, key, ...document(result) }))
        if (result.kind !== 'value') throw new CliExit(exitCodes.failed)
      } else await show(name, result, terminal)
    })
  addClusterOptions(command)
  addExamples(command, 'anneal get users ada', 'anneal get images logo > logo.png')
}

async function show(name: string, result: GetResult, terminal: Terminal): Promise<void> {
  switch (result.kind) {
    case 'value':
      await terminal.out(result.value)
      if (terminal.isInteractive && result.value.at(-1) !== 0x0a) await terminal.out('\n')
      return
    case 'missing': {
      const why = result.deleted ? 'it was deleted' : 'there is no such key'
      throw new CliExit(exitCodes.failed, `${name} has no value: ${why}`)
    }
    case 'siblings': {
      const rows = result.siblings.map((sibling) => [
        printable(sibling.etag),
        count(sibling.value.length, 'byte'),
        printable(sibling.lastModified),
        preview(sibling)
      ])
      terminal.err(table(['etag', 'size', 'written', 'value'], rows))
      throw new CliExit(
        exitCodes.failed,
        `${name} has ${result.siblings.length} values, from writes that had not seen each other; ` +
          'settle them with `anneal put`, which replaces all of them, or see them whole with --json'
      )
    }
  }
}

const previewBytesMax = 60

/** The beginning of a value where it is text, for telling siblings apart. */
function preview(sibling: Sibling): string {
  const start = Buffer.from(sibling.value.subarray(0, previewBytesMax)).toString('utf8')
  const more = sibling.value.length > previewBytesMax ? '…' : ''
  return start.includes('\ufffd') ? '(binary)' : `${printable(start)}${more}`
}

function document(result: GetResult): object {
  switch (result.kind) {
    case 'value': {
      const { context } = result
      return { found: true, ...valueDocument(result.value, result), context }
    }
    case 'missing':
      return { found: false, deleted: result.deleted, context: result.context }
    case 'siblings': {
      const siblings = result.siblings.map((sibling) => valueDocument(sibling.value, sibling))
      return { found: true, siblings, context: result.context }
    }
  }
}

function valueDocument(value: Uint8Array, info: ValueInfo): object {
  const { contentType, etag, lastModified } = info
  const meta = Object.fromEntries(info.meta)
  return { value: Buffer.from(value).toString('base64'), contentType, meta, etag, lastModified }
}
