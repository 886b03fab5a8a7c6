import type { Socket } from 'node:net'
import { ChannelCredentials } from '@grpc/grpc-js'

type CreateSecureConnector = ChannelCredentials['_createSecureConnector']

/**
 * Credentials for one dialed connection that keep hold of its sockets. Closing a gRPC channel leaves a socket open on
 * which HTTP/2 has not begun yet: the peer may be silent, or TCP may connect only after the close. Such a peer would
 * collect one more socket with every attempt.
 */
export class DialCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials
  readonly #sockets = new Set<Socket>()
  #isHungUp = false

  constructor(inner: ChannelCredentials) {
    super()
    this.#inner = inner
  }

  hangUp(): void {
    this.#isHungUp = true
    for (const socket of this.#sockets) socket.destroy()
  }

  override _isSecure(): boolean {
    return this.#inner._isSecure()
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this
  }

  override _createSecureConnector(
    ...parameters: Parameters<CreateSecureConnector>
  ): ReturnType<CreateSecureConnector> {
    const connector = this.#inner._createSecureConnector(...parameters)
    return {
      connect: (socket) => {
        this.#keep(socket)
        return connector.connect(socket)
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy()
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    if (this.#isHungUp) socket.destroy()
  }
}
