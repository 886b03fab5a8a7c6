import type { Clock } from '../../core/ports.ts'
import {
  noCounters,
  type SessionCounters,
  type SessionOutcome
} from '../../repair/session-outcome.ts'
import type { BeginExchange, RunningExchange } from './exchange.ts'

/** One exchange in progress that this node began. */
export interface ExchangeInFlight {
  readonly peer: string
  readonly partitions: readonly number[]
  /** The run that wanted it; null: background repair. */
  readonly run: string | null
  /** Wall clock. */
  readonly startedAtMs: number
  readonly counters: SessionCounters
}

export interface ExchangeSpec {
  readonly peer: string
  readonly partitions: readonly number[]
  readonly run: string | null
  readonly recompute: readonly number[]
  readonly dryRun: boolean
  readonly onProgress: (counters: SessionCounters) => void
  readonly onEnd: (outcome: SessionOutcome) => void
}

interface Entry {
  readonly spec: ExchangeSpec
  readonly running: RunningExchange
  readonly startedAtMs: number
  readonly progress: { counters: SessionCounters }
}

/**
 * The exchanges that this node has begun: bounded in number, and one with a peer at the most, since two would only
 * wait for each other's partitions.
 */
export class Exchanges {
  readonly #begin: BeginExchange
  readonly #clock: Clock
  readonly #concurrency: number
  readonly #entries = new Set<Entry>()

  constructor(begin: BeginExchange, clock: Clock, concurrency: number) {
    this.#begin = begin
    this.#clock = clock
    this.#concurrency = concurrency
  }

  get freeSlots(): number {
    return this.#concurrency - this.#entries.size
  }

  get inFlight(): readonly ExchangeInFlight[] {
    return [...this.#entries].map(describe)
  }

  /** Those of the partitions that none of the exchanges in progress is about. */
  free(partitions: readonly number[]): readonly number[] {
    const taken = new Set<number>()
    for (const { spec } of this.#entries) for (const id of spec.partitions) taken.add(id)
    return taken.size === 0 ? partitions : partitions.filter((id) => !taken.has(id))
  }

  isRunningWith(peer: string): boolean {
    for (const { spec } of this.#entries) if (spec.peer === peer) return true
    return false
  }

  begin(spec: ExchangeSpec): void {
    const progress = { counters: noCounters }
    const running = this.#begin({
      peer: spec.peer,
      partitions: spec.partitions,
      recompute: spec.recompute,
      dryRun: spec.dryRun,
      onProgress: (counters) => {
        progress.counters = counters
        spec.onProgress(counters)
      }
    })
    const entry: Entry = { spec, running, startedAtMs: this.#clock.now(), progress }
    this.#entries.add(entry)
    void running.done.then((outcome) => {
      this.#entries.delete(entry)
      spec.onEnd(outcome)
    })
  }

  /** Ends the exchanges that this is true of. */
  cancel(reason: string, isMeant: (exchange: ExchangeInFlight) => boolean = () => true): void {
    for (const entry of this.#entries) {
      if (isMeant(describe(entry))) entry.running.cancel(reason)
    }
  }
}

function describe({ spec, startedAtMs, progress }: Entry): ExchangeInFlight {
  const { peer, partitions, run } = spec
  return { peer, partitions, run, startedAtMs, counters: progress.counters }
}
