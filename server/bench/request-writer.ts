import { createRandom } from './random-keys.ts'

const keyPrefix = 'key-'
const keyDigits = 10
const stampBytes = 4
const asciiZero = 48

/** What the keys of a benchmark are called; `number` counts from 0. */
export function keyName(number: number): string {
  return `${keyPrefix}${String(number).padStart(keyDigits, '0')}`
}

export interface RequestShape {
  /** The `Host` header: the server's host and port. */
  readonly host: string
  readonly bucket: string
  readonly valueBytes: number
  /** Decides the bytes of the values. */
  readonly seed: number
}

/**
 * Prepares the requests of one connection in buffers that are allocated once: for each request only the digits of the
 * key, and in a write the first bytes of the value, are written anew. A returned buffer is valid until the next call of
 * the same method, which is enough where one request is outstanding at a time.
 */
export class RequestWriter {
  readonly #put: Buffer
  readonly #putKeyAt: number
  readonly #valueAt: number
  readonly #get: Buffer
  readonly #getKeyAt: number
  readonly #putHead: string
  readonly #stampLength: number
  #writes = 0

  constructor(shape: RequestShape) {
    const path = `/kv/${encodeURIComponent(shape.bucket)}/${keyPrefix}`
    const key = '0'.repeat(keyDigits)
    const headers = `Host: ${shape.host}\r\n`
    this.#get = Buffer.from(`GET ${path}${key} HTTP/1.1\r\n${headers}\r\n`, 'latin1')
    this.#getKeyAt = 'GET '.length + path.length
    this.#putKeyAt = 'PUT '.length + path.length
    this.#putHead =
      `PUT ${path}${key} HTTP/1.1\r\n${headers}` +
      `Content-Type: application/octet-stream\r\nContent-Length: ${shape.valueBytes}\r\n`
    this.#valueAt = this.#putHead.length + 2
    this.#put = Buffer.concat([
      Buffer.from(`${this.#putHead}\r\n`, 'latin1'),
      randomValue(shape.valueBytes, shape.seed)
    ])
    this.#stampLength = Math.min(stampBytes, shape.valueBytes)
  }

  get(key: number): Buffer {
    writeDigits(this.#get, this.#getKeyAt, key)
    return this.#get
  }

  /** A write; without a context it is a blind one. */
  put(key: number, causalContext = ''): Buffer {
    writeDigits(this.#put, this.#putKeyAt, key)
    this.#stampValue()
    if (causalContext === '') return this.#put
    const headLength = this.#putHead.length
    return Buffer.concat([
      this.#put.subarray(0, headLength),
      Buffer.from(`Causal-Context: ${causalContext}\r\n\r\n`, 'latin1'),
      this.#put.subarray(this.#valueAt)
    ])
  }

  /** Every value differs from the one before, so that no layer of the server can get away with writing nothing. */
  #stampValue(): void {
    this.#writes++
    for (let i = 0; i < this.#stampLength; i++) {
      this.#put[this.#valueAt + i] = (this.#writes >>> (8 * i)) & 0xff
    }
  }
}

/** Random bytes, since the storage compresses its blocks and a value of zeros would cost it nothing. */
function randomValue(length: number, seed: number): Buffer {
  const random = createRandom(seed)
  const value = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) value[i] = random() * 256
  return value
}

function writeDigits(buffer: Buffer, at: number, key: number): void {
  let rest = key
  for (let i = at + keyDigits - 1; i >= at; i--) {
    const tens = Math.floor(rest / 10)
    buffer[i] = asciiZero + rest - tens * 10
    rest = tens
  }
}
