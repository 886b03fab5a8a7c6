import { createGrpcTransport } from '../../server/peer/grpc-transport.ts'

// A process of its own that echoes every message, to be stopped and killed: it prints where it listens.
const transport = createGrpcTransport({ messageBytesMax: 1024 * 1024, keepaliveMs: 60_000 })
const listener = await transport.listen('127.0.0.1:0', (connection) => ({
  onOpen: () => {},
  onMessage: (message) => {
    connection.send(message)
  },
  onDrain: () => {},
  onClose: () => {}
}))
process.stdout.write(`${listener.address}\n`)
process.stdin.on('end', () => process.exit()).resume()
