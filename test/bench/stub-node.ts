import { mkdir } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { StubServer } from './stub-server.ts'

/**
 * Stands in for `anneal start`: serves the stub's routes at `--http`, and leaves on SIGTERM or when its standard input
 * ends. Its data directory appears when it has started. STUB_FAILS names a node that gives up at once, STUB_HANGS one that
 * never becomes ready.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    id: { type: 'string' },
    data: { type: 'string' },
    http: { type: 'string' },
    peer: { type: 'string' },
    seeds: { type: 'string' }
  }
})

if (positionals[0] !== 'start' || values.id === process.env['STUB_FAILS']) {
  process.stderr.write(`the disk of ${values.id} is on fire\n`)
  process.exit(1)
}

process.on('SIGTERM', () => process.exit(0))
if (process.env['ANNEAL_PARENT_PIPE'] === '1') {
  process.stdin.on('end', () => process.exit(0)).resume()
}
await mkdir(`${values.data}`, { recursive: true })
if (values.id !== process.env['STUB_HANGS']) {
  const stub = new StubServer()
  // As if the other nodes had told it.
  stub.buckets.set('/buckets/bench-put', { conflict: 'lww' })
  await stub.listen(Number(values.http?.split(':')[1]))
}
