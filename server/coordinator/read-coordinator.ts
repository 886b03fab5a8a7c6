import { LatencyHistogram } from '../../core/latency-histogram.ts'
import type { ReadRepair } from '../../repair/read-repair.ts'
import type { QuorumSpec } from '../../ring/cluster-document.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { Versions } from '../../storage/version.ts'
import type { CausalContext } from '../context-token.ts'
import type { CoordinatorContext } from './coordinator-context.ts'
import type { GhostCheck } from './ghost-check.ts'
import { ReadOperation } from './read-operation.ts'

export interface ReadOptions {
  readonly r: QuorumSpec
  readonly timeoutMs: number
  /** Whether other nodes may answer for replicas that cannot be reached. */
  readonly sloppy: boolean
  /** What the answer must know of; null where anything will do. */
  readonly atLeast: CausalContext | null
}

export interface ReadResult {
  /** The merge of what the replicas answered, tombstones included; empty where nobody holds anything. */
  readonly versions: Versions
  readonly answered: number
  readonly asked: number
  /** How many of those that answered stood in for a replica. */
  readonly hinted: number
}

export interface ReadRepairPolicy {
  readonly mode: 'off' | 'async' | 'sync'
  readonly probability: number
  readonly waitMs: number
}

export interface ReadCoordinatorOptions {
  readonly context: CoordinatorContext
  readonly repair: ReadRepair
  readonly ghosts: GhostCheck
  readonly policy: ReadRepairPolicy
  readonly onSpeculation: () => void
  readonly onStale: (replicas: number) => void
}

const speculationPercentile = 0.99
const speculationMinMs = 5
const speculationMaxMs = 1000
const decayEvery = 2048

/** Coordinates reads: any node may, whether or not it holds the key. */
export class ReadCoordinator {
  readonly options: ReadCoordinatorOptions
  /** How long remote replicas take; a read that waits longer than most asks one more. */
  readonly remoteLatency = new LatencyHistogram()
  #sinceDecay = 0

  constructor(options: ReadCoordinatorOptions) {
    this.options = options
  }

  /** Errors: `quorum_unavailable`, `timeout`, `stale`, `overloaded`. */
  read(key: ObjectKey, options: ReadOptions): Promise<ReadResult> {
    return new Promise((resolve, reject) => {
      new ReadOperation(this, key, options, resolve, reject).start()
    })
  }

  observeRemote(durationMs: number): void {
    this.remoteLatency.observe(durationMs)
    if (++this.#sinceDecay < decayEvery) return
    this.#sinceDecay = 0
    this.remoteLatency.decay()
  }

  get speculationDelayMs(): number {
    const percentileMs = this.remoteLatency.percentileMs(speculationPercentile)
    return Math.min(speculationMaxMs, Math.max(speculationMinMs, percentileMs * 2))
  }
}
