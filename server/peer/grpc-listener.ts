import { createServer, type Server as NetServer, type Socket } from 'node:net'
import {
  type ConnectionInjector,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status
} from '@grpc/grpc-js'
import { AnnealError } from '../../core/errors.ts'
import type { Acceptor, Channel, Listener } from '../../core/ports.ts'
import { formatAddress, parseAddress } from '../address.ts'
import { GrpcConnection } from './grpc-connection.ts'
import {
  channelHeader,
  connectionsMaxDefault,
  connectTimeoutMsDefault,
  type GrpcTransportOptions,
  peerLinkService,
  sendWindowBytesDefault,
  serverOptions
} from './grpc-options.ts'
import { widenReceiveWindow } from './grpc-window.ts'

type AcceptedStream = ServerDuplexStream<Uint8Array, Uint8Array>

interface AcceptedSocket {
  readonly socket: Socket
  /** Drops the socket unless a stream is opened on it in time. */
  readonly idleTimer: NodeJS.Timeout
  connection: GrpcConnection | null
}

// How long a peer has for taking the reason of a close before its socket is destroyed.
const closeGraceMs = 1000

/**
 * A gRPC server with one method. The sockets are accepted here and handed to gRPC, so that a taken port is an error
 * with its cause, a connection on which nothing happens is dropped, and closing frees every socket.
 */
export class GrpcListener implements Listener {
  readonly #acceptor: Acceptor
  readonly #options: GrpcTransportOptions
  readonly #server: Server
  readonly #injector: ConnectionInjector
  readonly #netServer: NetServer
  // By the remote address and port, which is how a gRPC stream names its socket.
  readonly #sockets = new Map<string, AcceptedSocket>()
  #address = ''
  #isClosing = false

  constructor(acceptor: Acceptor, options: GrpcTransportOptions) {
    this.#acceptor = acceptor
    this.#options = options
    this.#server = new Server(serverOptions(options))
    this.#server.addService(peerLinkService, {
      Exchange: (stream: AcceptedStream) => this.#accept(stream)
    })
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure())
    this.#netServer = createServer({ noDelay: true }, (socket) => this.#admit(socket))
    this.#netServer.maxConnections = options.connectionsMax ?? connectionsMaxDefault
  }

  get address(): string {
    return this.#address
  }

  /** Errors: rejects with `bad_parameter` where the address is malformed, taken, or not one of this machine. */
  async listen(address: string): Promise<void> {
    const { host, port } = parseAddress(address)
    await new Promise<void>((resolve, reject) => {
      this.#netServer.once('error', (cause) => reject(listenError(address, cause)))
      this.#netServer.listen({ host, port, exclusive: true }, resolve)
    })
    this.#netServer.removeAllListeners('error')
    // Accepting may fail later, with too many open files; that costs one connection, and the listener goes on.
    this.#netServer.on('error', () => {})
    const bound = this.#netServer.address()
    const boundPort = typeof bound === 'object' && bound !== null ? bound.port : port
    this.#address = formatAddress({ host, port: boundPort })
  }

  async close(): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#netServer.close(() => resolve()))
    this.#isClosing = true
    for (const { socket, connection } of this.#sockets.values()) {
      if (connection === null) socket.destroy()
      else connection.close('the listener was closed')
    }
    await stopped
    this.#server.forceShutdown()
  }

  #admit(socket: Socket): void {
    const key = `${socket.remoteAddress}:${socket.remotePort}`
    const timeoutMs = this.#options.connectTimeoutMs ?? connectTimeoutMsDefault
    const idleTimer = setTimeout(() => socket.destroy(), timeoutMs).unref()
    this.#sockets.set(key, { socket, idleTimer, connection: null })
    socket.once('close', () => {
      clearTimeout(idleTimer)
      this.#sockets.delete(key)
    })
    this.#injector.injectConnection(socket)
  }

  #accept(stream: AcceptedStream): void {
    const remote = stream.getPeer()
    const accepted = this.#sockets.get(remote)
    const channel = channelOf(stream)
    if (accepted === undefined || accepted.connection !== null || this.#isClosing) {
      endStream(stream, status.UNAVAILABLE, 'this connection takes no further stream')
    } else if (channel === null) {
      endStream(stream, status.INVALID_ARGUMENT, `${channelHeader} must be small or bulk`)
    } else {
      clearTimeout(accepted.idleTimer)
      accepted.connection = this.#connect(stream, accepted.socket, channel)
    }
  }

  #connect(stream: AcceptedStream, socket: Socket, channel: Channel): GrpcConnection {
    const connection = new GrpcConnection({
      channel,
      remote: stream.getPeer(),
      messageBytesMax: this.#options.messageBytesMax,
      sendWindowBytes: this.#options.sendWindowBytes ?? sendWindowBytesDefault,
      hangUp: (reason) => hangUp(stream, socket, reason)
    })
    connection.carriedBy(stream)
    connection.tell(this.#acceptor(connection))
    if (connection.isClosed) return connection
    widenReceiveWindow(stream)
    // Sent at once: the headers are what tells the other side that the stream was accepted.
    stream.sendMetadata(new Metadata())
    stream.on('data', (message: Uint8Array) => connection.received(message))
    stream.once('end', () => connection.close('ended by the other side'))
    stream.once('cancelled', () => connection.close('closed by the other side, or lost'))
    connection.opened()
    return connection
  }
}

function channelOf(stream: AcceptedStream): Channel | null {
  const [channel] = stream.metadata.get(channelHeader)
  return channel === 'small' || channel === 'bulk' ? channel : null
}

// A stream that has ended by itself takes no status any more; grpc-js may have sent one, which needs its time as well.
function hangUp(stream: AcceptedStream, socket: Socket, reason: string): void {
  endStream(stream, status.UNAVAILABLE, reason)
  const graceTimer = setTimeout(() => socket.destroy(), closeGraceMs).unref()
  socket.once('close', () => clearTimeout(graceTimer))
}

const reasonCharsMax = 256

// An error that is emitted, not thrown, is how grpc-js lets a streaming handler end with a status of its choice.
function endStream(stream: AcceptedStream, code: status, reason: string): void {
  const details = reason.slice(0, reasonCharsMax).toWellFormed()
  stream.emit('error', Object.assign(new Error(details), { code, details }))
}

function listenError(address: string, cause: Error): AnnealError {
  const code = 'code' in cause ? cause.code : ''
  const why =
    code === 'EADDRINUSE'
      ? 'the port is in use; stop the process that holds it, or choose another'
      : cause.message
  const message = `cannot listen for peers on ${address}: ${why}`
  return new AnnealError('bad_parameter', message, { address }, cause)
}
