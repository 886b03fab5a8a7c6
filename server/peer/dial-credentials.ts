import type { Socket } from 'node:net'
import { ChannelCredentials } from '@grpc/grpc-js'

type CreateSecureConnector = ChannelCredentials['_createSecureConnector']

/**
 * Credentials for one dialed connection that keep hold of its sockets. Closing a gRPC channel only asks its HTTP/2
 * session to finish, which a peer that has stopped reading can put off, and a TCP connection that comes about after the
 * close is left open; destroying the sockets ends both at once.
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
