import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const answerSeconds = 15

/** A TCP connection for what no HTTP client would send. What arrives is collected until somebody looks. */
export class RawConnection {
  readonly socket: Socket
  #received = ''
  #isClosed = false
  #look: () => void = () => {}

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.#received += text
      this.#look()
    })
    // A reset is one of the answers that a test may want; `closed` tells of it.
    socket.on('error', () => {})
    socket.once('close', () => {
      this.#isClosed = true
      this.#look()
    })
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url)
    const socket = connect(Number(port), hostname)
    const connection = new RawConnection(socket)
    await once(socket, 'connect')
    return connection
  }

  get received(): string {
    return this.#received
  }

  send(bytes: string | Uint8Array): this {
    if (this.socket.writable) this.socket.write(bytes)
    return this
  }

  /** Resolves with all that was received, once the other side has hung up. Errors: rejects after 15 seconds. */
  async closed(): Promise<string> {
    await this.#until(() => this.#isClosed)
    return this.#received
  }

  /** Resolves with all once `text` was received so often. Errors: rejects on a close before, or after 15 seconds. */
  async receivedTimes(text: string, times: number): Promise<string> {
    await this.#until(() => this.#received.split(text).length > times)
    return this.#received
  }

  destroy(): void {
    this.socket.destroy()
  }

  #until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const said = () => JSON.stringify(this.#received.slice(-500))
      const finish = (failure: string | null) => {
        clearTimeout(timer)
        this.#look = () => {}
        if (failure === null) resolve()
        else reject(new Error(`${failure} after ${said()}`))
      }
      const timer = setTimeout(
        () => finish(`nothing more in ${answerSeconds} s`),
        answerSeconds * 1000
      )
      this.#look = () => {
        if (condition()) finish(null)
        else if (this.#isClosed) finish('closed')
      }
      this.#look()
    })
  }
}
