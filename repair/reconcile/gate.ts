/** Lets in one at a time, in the order in which they came. */
export class Gate {
  #taken = false
  readonly #waiting: (() => void)[] = []

  /** Resolves once the caller is in, and nobody else is until it leaves. */
  async enter(): Promise<void> {
    if (this.#taken) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#taken = true
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken = false
    else next()
  }

  /** Whoever is in waits for something outside, where it holds up nobody, and comes back. */
  async outside<T>(awaited: Promise<T>): Promise<T> {
    this.leave()
    try {
      return await awaited
    } finally {
      await this.enter()
    }
  }
}
