import type { Timers } from '../core/ports.ts'

export interface FirstHearingOptions {
  readonly selfId: string
  readonly replicasOf: (partition: number) => readonly string[]
  /** Members other than this node that it can reach, or has not tried to reach yet. */
  readonly isReachable: (id: string) => boolean
  readonly timers: Timers
}

const waitMs = 1000

/**
 * Which peers have named their watermarks since this node started. A data directory does not know that it is an old copy:
 * only peers can tell. Until all that can be reached have, reads of the partitions shared with them wait.
 */
export class FirstHearing {
  readonly #options: FirstHearingOptions
  readonly #heard = new Set<string>()
  readonly #waiting = new Set<() => void>()

  constructor(options: FirstHearingOptions) {
    this.#options = options
  }

  heard(peer: string): void {
    if (this.#heard.has(peer)) return
    this.#heard.add(peer)
    for (const look of [...this.#waiting]) look()
  }

  hasHeard(peer: string): boolean {
    return this.#heard.has(peer)
  }

  /** Whether a replica of the partition has yet to be heard. `asking`: a node that is reached, since it asks. */
  isDue(partition: number, asking: string | null = null): boolean {
    const { selfId, replicasOf, isReachable } = this.#options
    for (const id of replicasOf(partition)) {
      if (id === selfId || this.#heard.has(id)) continue
      if (id === asking || isReachable(id)) return true
    }
    return false
  }

  /** Null where nobody is waited for. Resolves once all were heard, or after a second. */
  settled(partition: number, asking: string | null = null): Promise<void> | null {
    if (!this.isDue(partition, asking)) return null
    const { timers } = this.#options
    return new Promise((resolve) => {
      const end = () => {
        timers.clear(timer)
        this.#waiting.delete(look)
        resolve()
      }
      const look = () => {
        if (!this.isDue(partition, asking)) end()
      }
      const timer = timers.set(end, waitMs)
      this.#waiting.add(look)
    })
  }
}
