import { hash128 } from '../../core/hash.ts'

const chunkBytes = 64 * 1024
const headBytes = 8 + 4

/**
 * A digest over everything that happened in a run and when: two runs have the same one exactly where nothing parted
 * them. Entries gather in a buffer and are hashed by the chunk, which costs a tenth of hashing each.
 */
export class TraceDigest {
  readonly #chunk = Buffer.allocUnsafe(chunkBytes)
  #length = 0
  #digest: Uint8Array = new Uint8Array(0)

  add(atMs: number, who: string, what: string, bytes: Uint8Array): void {
    // No character takes more than three bytes.
    const textBytes = 3 * (who.length + what.length) + 2
    this.#makeRoom(headBytes + textBytes)
    const chunk = this.#chunk
    let at = chunk.writeDoubleLE(atMs, this.#length)
    at = chunk.writeUInt32LE(bytes.length, at)
    at += chunk.write(who, at)
    chunk[at++] = 0
    at += chunk.write(what, at)
    chunk[at++] = 0
    this.#length = at
    if (bytes.length > chunkBytes) this.#digest = hash128(this.#flushed(), bytes)
    else this.#append(bytes)
  }

  /** The digest of all entries so far, as hexadecimal digits. */
  get hex(): string {
    return Buffer.from(this.#flushed()).toString('hex')
  }

  #append(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length)
    this.#chunk.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #makeRoom(bytes: number): void {
    if (this.#length + bytes > chunkBytes) this.#flushed()
  }

  #flushed(): Uint8Array {
    if (this.#length > 0)
      this.#digest = hash128(this.#digest, this.#chunk.subarray(0, this.#length))
    this.#length = 0
    return this.#digest
  }
}
