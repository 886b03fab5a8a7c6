import { Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js'
import { AnnealError } from '../../core/errors.ts'
import type { Channel, Connection, ConnectionEvents } from '../../core/ports.ts'
import { formatAddress, parseAddress } from '../address.ts'
import { DialCredentials } from './dial-credentials.ts'
import { GrpcConnection } from './grpc-connection.ts'
import {
  channelHeader,
  connectTimeoutMsDefault,
  dialOptions,
  exchangePath,
  type GrpcTransportOptions,
  passThrough,
  sendWindowBytesDefault
} from './grpc-options.ts'

/** One attempt: a gRPC channel of its own with one stream, both gone when it ends, however it ends. */
export function dialGrpc(
  address: string,
  channel: Channel,
  events: ConnectionEvents,
  options: GrpcTransportOptions
): Connection {
  let release = (): void => {}
  const connection = new GrpcConnection({
    channel,
    remote: address,
    messageBytesMax: options.messageBytesMax,
    sendWindowBytes: options.sendWindowBytes ?? sendWindowBytesDefault,
    hangUp: () => release()
  })
  connection.tell(events)
  try {
    release = openStream(connection, address, options)
  } catch (thrown) {
    connection.close(AnnealError.from(thrown).message)
  }
  return connection
}

/** Errors: throws where the address is none. Returns what frees everything again. */
function openStream(
  connection: GrpcConnection,
  address: string,
  options: GrpcTransportOptions
): () => void {
  const target = formatAddress(parseAddress(address))
  const dialCredentials = new DialCredentials(credentials.createInsecure())
  const client = new Client(`dns:${target}`, dialCredentials, dialOptions(options))
  const metadata = new Metadata()
  metadata.set(channelHeader, connection.channel)
  const stream = client.makeBidiStreamRequest(exchangePath, passThrough, passThrough, metadata)
  const timeoutMs = options.connectTimeoutMs ?? connectTimeoutMsDefault
  const timer = setTimeout(() => {
    connection.close(`${address} did not answer within ${timeoutMs} ms`)
  }, timeoutMs).unref()
  stream.once('metadata', () => {
    clearTimeout(timer)
    connection.opened()
  })
  listen(stream, connection)
  return () => {
    clearTimeout(timer)
    stream.cancel()
    client.close()
    dialCredentials.hangUp()
  }
}

function listen(
  stream: ClientDuplexStream<Uint8Array, Uint8Array>,
  connection: GrpcConnection
): void {
  connection.carriedBy(stream)
  stream.on('data', (message: Uint8Array) => connection.received(message))
  // Every error is followed by a status with the same facts; without a listener it would end the process.
  stream.on('error', () => {})
  stream.once('status', ({ code, details }) => {
    connection.close(details === '' ? `ended by the other side with status ${code}` : details)
  })
}
