import { once } from 'node:events'
import { createServer } from 'node:net'
import { createGrpcTransport } from '../../server/peer/grpc-transport.ts'
import type { TransportHarness } from './transport-bench.ts'
import { transportSuite } from './transport-suite.ts'

const messageBytesMax = 8 * 1024 * 1024

/** A port that was free a moment ago, and that nobody listens on. */
async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('a TCP server has a port')
  return address.port
}

transportSuite('gRPC transport', async (journal): Promise<TransportHarness> => {
  const transport = createGrpcTransport({ messageBytesMax, keepaliveMs: 10_000 })
  return {
    dialer: transport,
    acceptor: transport,
    anyAddress: '127.0.0.1:0',
    deadAddress: `127.0.0.1:${await unusedPort()}`,
    messageBytesMax,
    until: (condition) => journal.until(condition),
    stop: async () => {}
  }
})
