/** Lets in one at a time, in the order in which they came. */
export class Gate {
  #taken = false
  readonly #waiting: (() => void)[] = []

  /** Does the work once nobody else is in. */
  async inside<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter()
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  /** Whoever is in waits for something outside, where it holds up nobody, and comes back. */
  async outside<T>(awaited: Promise<T>): Promise<T> {
    this.#leave()
    try {
      return await awaited
    } finally {
      await this.#enter()
    }
  }

  async #enter(): Promise<void> {
    if (this.#taken) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#taken = true
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#taken = false
    else next()
  }
}
