import type { ObjectKey } from '../storage/keys.ts'
import type { Versions } from '../storage/version.ts'

/** What became of one push to one replica; `skipped`: it was not made, since another one was on its way. */
export const readRepairOutcomes = ['repaired', 'failed', 'skipped'] as const
export type ReadRepairOutcome = 'repaired' | 'failed'

export interface ReadRepairOptions {
  /** Sends a replica the merged object, which it merges like any write; calls back once. */
  readonly push: (
    replica: string,
    key: ObjectKey,
    versions: Versions,
    done: (outcome: ReadRepairOutcome) => void
  ) => void
  readonly keysInFlightMax: number
  readonly onOutcome: (outcome: ReadRepairOutcome | 'skipped') => void
}

/**
 * Gives the merged object to the replicas that a read found stale. One repair a key is in flight: a hot key that is
 * read a thousand times while its repair is under way is repaired once.
 */
export class ReadRepair {
  readonly #options: ReadRepairOptions
  readonly #inFlight = new Set<string>()

  constructor(options: ReadRepairOptions) {
    this.#options = options
  }

  /** `done` is called once all replicas have answered, or at once where nothing is sent. */
  repair(key: ObjectKey, versions: Versions, replicas: readonly string[], done: () => void): void {
    const { push, keysInFlightMax, onOutcome } = this.#options
    if (replicas.length === 0) return done()
    if (this.#inFlight.has(key.id) || this.#inFlight.size >= keysInFlightMax) {
      onOutcome('skipped')
      return done()
    }
    this.#inFlight.add(key.id)
    let outstanding = replicas.length
    for (const replica of replicas) {
      push(replica, key, versions, (outcome) => {
        onOutcome(outcome)
        if (--outstanding > 0) return
        this.#inFlight.delete(key.id)
        done()
      })
    }
  }
}
