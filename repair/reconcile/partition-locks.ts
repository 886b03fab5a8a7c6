/**
 * Which exchange each partition of this node takes part in: one at a time, whether this node began it or was asked to,
 * so that two peers never ship the same rows. Nobody waits for a lock while holding others, hence no deadlock: what is
 * taken is answered as busy and tried later.
 */
export class PartitionLocks {
  readonly #holders = new Map<number, object>()

  /** Takes what is free, or held by the same holder already, and answers with it. */
  take(partitions: readonly number[], holder: object): number[] {
    const taken: number[] = []
    for (const partition of partitions) {
      const other = this.#holders.get(partition)
      if (other !== undefined && other !== holder) continue
      this.#holders.set(partition, holder)
      taken.push(partition)
    }
    return taken
  }

  /** Gives back the partitions that `holder` holds, of those given. */
  release(partitions: Iterable<number>, holder: object): void {
    for (const partition of partitions) {
      if (this.#holders.get(partition) === holder) this.#holders.delete(partition)
    }
  }

  releaseAll(holder: object): void {
    this.release([...this.#holders.keys()], holder)
  }

  isHeld(partition: number): boolean {
    return this.#holders.has(partition)
  }

  get held(): number {
    return this.#holders.size
  }
}
