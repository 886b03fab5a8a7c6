import { DecodeError } from '../../core/errors.ts'

/** The head of a response is looked for in this many bytes first; nearly all heads are shorter. */
const usualHeadBytes = 1024
const headBytesMax = 64 * 1024

const contentLengthPattern = /\r\ncontent-length:[ \t]*(\d+)/i
const connectionClosePattern = /\r\nconnection:[ \t]*close/i
const causalContextPattern = /\r\ncausal-context:[ \t]*([^\r]*)/i

/**
 * Reads one HTTP/1.1 response after the other, arriving in pieces of any size. It understands what a benchmark needs,
 * the status, the length of the body and whether the connection stays open, and counts the body without keeping it.
 * There must be one request outstanding at the most: bytes beyond the response are an error.
 */
export class ResponseReader {
  status = 0
  bodyBytes = 0
  /** Whether the server will take another request on this connection. */
  keepAlive = true
  #head = ''
  #headComplete = false
  #bodyBytesLeft = 0

  /**
   * Takes the first `length` of `bytes` and answers whether the response is complete; the next bytes are then those of
   * another response. Errors: DecodeError for anything that is not a response of known length; the few messages there
   * are serve as names to count them by.
   */
  receive(bytes: Buffer, length: number): boolean {
    if (this.#headComplete) return this.#receiveBody(length)
    const sliced = this.#head === '' ? Math.min(length, usualHeadBytes) : length
    let head = this.#head + bytes.toString('latin1', 0, sliced)
    let end = head.indexOf('\r\n\r\n')
    if (end < 0 && sliced < length) {
      head = bytes.toString('latin1', 0, length)
      end = head.indexOf('\r\n\r\n')
    }
    if (end < 0) {
      if (head.length > headBytesMax) throw new DecodeError('a response head larger than 64 KiB')
      this.#head = head
      return false
    }
    const received = this.#head.length + length - end - 4
    this.#head = head.slice(0, end)
    this.#headComplete = true
    this.#parseHead()
    return this.#receiveBody(received)
  }

  /** The context that came with the last complete response; empty when there was none. */
  causalContext(): string {
    return causalContextPattern.exec(this.#head)?.[1] ?? ''
  }

  /** Makes ready for the next response. */
  reset(): void {
    this.#head = ''
    this.#headComplete = false
  }

  #parseHead(): void {
    const head = this.#head
    this.status = Number(head.slice(9, 12))
    if (!head.startsWith('HTTP/1.1 ') || !(this.status >= 200 && this.status <= 599)) {
      throw new DecodeError('not a final HTTP/1.1 response')
    }
    this.keepAlive = !connectionClosePattern.test(head)
    const contentLength = contentLengthPattern.exec(head)?.[1]
    if (this.status === 204 || this.status === 304) {
      this.bodyBytes = 0
    } else if (contentLength === undefined) {
      throw new DecodeError('a response without Content-Length')
    } else {
      this.bodyBytes = Number(contentLength)
    }
    this.#bodyBytesLeft = this.bodyBytes
  }

  #receiveBody(length: number): boolean {
    this.#bodyBytesLeft -= length
    if (this.#bodyBytesLeft < 0) {
      throw new DecodeError('more bytes than the response announced')
    }
    return this.#bodyBytesLeft === 0
  }
}
