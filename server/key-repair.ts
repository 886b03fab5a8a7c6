import { type CoordinatorContext, keyOf, replicasOf } from './coordinator/coordinator-context.ts'
import type { GhostCheck } from './coordinator/ghost-check.ts'
import { ReadCoordinator } from './coordinator/read-coordinator.ts'
import { createReadRepair } from './coordinator/repair-by-push.ts'
import type { NodeMetrics } from './node-metrics.ts'

export interface KeyRepairOptions {
  readonly context: CoordinatorContext
  readonly ghosts: GhostCheck
  readonly metrics: NodeMetrics
}

const timeoutMs = 5000

/** Repairs one key at once: a read of all replicas that can be reached, which waits for what it repairs. */
export class KeyRepair {
  readonly #context: CoordinatorContext
  readonly #reads: ReadCoordinator

  constructor({ context, ghosts, metrics }: KeyRepairOptions) {
    this.#context = context
    this.#reads = new ReadCoordinator({
      context,
      ghosts,
      repair: createReadRepair(context, metrics),
      policy: { mode: 'sync', probability: 1, waitMs: timeoutMs },
      onSpeculation: () => metrics.speculations.inc(),
      onStale: (count) => metrics.staleReplicas.inc(count)
    })
  }

  /** Resolves once all replicas that could be reached have taken what they lacked, or five seconds are over. Errors: those of a read. */
  async repair(bucket: Buffer, name: Buffer): Promise<void> {
    const { selfId, peers } = this.#context
    const key = keyOf(bucket, name)
    const reachable = replicasOf(this.#context, key).filter((id) => id === selfId || peers.isUp(id))
    const r = Math.max(1, reachable.length)
    await this.#reads.read(key, { r, timeoutMs, sloppy: false, atLeast: null })
  }
}
