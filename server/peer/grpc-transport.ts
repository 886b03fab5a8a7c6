import type { Transport } from '../../core/ports.ts'
import { dialGrpc } from './grpc-dial.ts'
import { GrpcListener } from './grpc-listener.ts'
import type { GrpcTransportOptions } from './grpc-options.ts'

export type { GrpcTransportOptions } from './grpc-options.ts'

/**
 * Connections between nodes as gRPC streams over HTTP/2, one stream and one TCP connection each. Messages are bytes
 * that pass through unread; nothing here authenticates, which is what the handshake on top is for.
 */
export function createGrpcTransport(options: GrpcTransportOptions): Transport {
  return {
    listen: async (address, acceptor) => {
      const listener = new GrpcListener(acceptor, options)
      await listener.listen(address)
      return listener
    },
    dial: (address, channel, events) => dialGrpc(address, channel, events, options)
  }
}
