import { setTimeout as sleep } from 'node:timers/promises'
import { AnnealClient } from '../../client/client.ts'
import { differingPartitions, readTrees } from '../cli/read-trees.ts'
import { prepareBucket } from './bucket.ts'
import type { Cluster } from './cluster.ts'
import type { GeneratorPlan, GeneratorPool } from './generator.ts'
import { targetOf, type Watcher } from './load.ts'
import { type OwnClusterOptions, onOwnCluster } from './own-cluster.ts'
import type { KeySelection } from './random-keys.ts'
import { makeStale, untilUp } from './repair-divergence.ts'
import {
  type MeasuredRepair,
  measureRepair,
  measureUnderLoad,
  repairOnce
} from './repair-measurement.ts'
import { proveEqual, rowsIn, type SampledKey } from './repair-proof.ts'
import { type RepairReport, type RepairRunReport, summarizeScenario } from './repair-report.ts'
import type { RepairScenario } from './repair-scenario.ts'
import { describeErrors } from './report.ts'
import { keyName } from './request-writer.ts'

export interface RepairBenchOptions extends Omit<OwnClusterOptions, 'environment'> {
  readonly scenarios: readonly RepairScenario[]
  readonly runs: number
  readonly keys: number
  readonly valueBytes: number
  readonly connections: number
  /** Writes a second of the scenarios with load. */
  readonly loadRate: number
  /** How long the load runs before the repair begins. */
  readonly loadSeconds: number
  readonly seed: number
}

/** Nothing but the repairs that are measured may bring the replicas together. */
const environment = {
  ANNEAL_HINTS__ENABLED: 'false',
  ANNEAL_READ_REPAIR__MODE: 'off',
  ANNEAL_REPAIR__ENABLED: 'false'
}
/** The node that becomes stale, and that is asked to repair. */
const staleNode = 2
/** Keys of their own, so that the load does not heal what the repair is to heal. */
const bucket = 'bench-repair'
const loadBucket = 'bench-repair-load'
const loadKeysMax = 20_000
const sampledKeysMax = 300
const settleMs = 10_000
const settlePollMs = 100
const operationTimeoutMs = 10_000

/**
 * Starts a cluster, fills it, and measures one repair after the other, each after replicas were made to differ through
 * the public interface. At last every node recomputes its trees from its rows, and they are compared.
 *
 * Errors: rejects when a node, a write or a repair fails, when a repair that ended leaves replicas that differ, and with
 * the signal's reason once that is aborted.
 */
export async function runRepairBenchmark(
  options: RepairBenchOptions,
  watcher: Watcher
): Promise<RepairReport> {
  return onOwnCluster({ ...options, environment }, watcher, (cluster, generator) =>
    new RepairBench(options, watcher, generator, cluster).run()
  )
}

/** A benchmark under way, over its own cluster. */
class RepairBench {
  readonly #options: RepairBenchOptions
  readonly #watcher: Watcher
  readonly #generator: GeneratorPool
  readonly #cluster: Cluster
  readonly #clients: readonly AnnealClient[]
  readonly #staleClient: AnnealClient
  /** Keys that were made stale at some time, which the proof looks at. */
  readonly #changed = new Set<number>()

  constructor(
    options: RepairBenchOptions,
    watcher: Watcher,
    generator: GeneratorPool,
    cluster: Cluster
  ) {
    this.#options = options
    this.#watcher = watcher
    this.#generator = generator
    this.#cluster = cluster
    this.#clients = cluster.urls.map((url) => new AnnealClient({ nodes: [url] }))
    this.#staleClient = new AnnealClient({ nodes: [this.#staleUrl] })
  }

  async run(): Promise<RepairReport> {
    const { scenarios, runs } = this.#options
    const { progress, signal } = this.#watcher
    await untilUp(this.#clients, signal)
    const fillSeconds = await this.#fill()
    const reports = []
    for (const scenario of scenarios) {
      const ofScenario: RepairRunReport[] = []
      for (let run = 1; run <= runs; run++) {
        progress(`${scenario.name}: run ${run} of ${runs}`)
        ofScenario.push(await this.#runOnce(scenario, run))
      }
      reports.push(summarizeScenario(scenario, ofScenario))
    }
    progress('every node recomputes its trees from its rows')
    const proof = await proveEqual(this.#cluster.urls, this.#sample(), signal)
    return { fillSeconds, scenarios: reports, proof }
  }

  get #staleUrl(): string {
    return this.#cluster.urls[staleNode] ?? ''
  }

  /** Answers how many seconds it took. */
  async #fill(): Promise<number> {
    const { keys, scenarios, loadRate } = this.#options
    const { progress, signal } = this.#watcher
    progress(`writing ${keys} keys`)
    await prepareBucket(this.#cluster.urls, bucket, 'siblings', signal)
    const startedAt = performance.now()
    await this.#write({ operation: 'put', keys: { kind: 'each', from: 0, to: keys } })
    const seconds = (performance.now() - startedAt) / 1000
    if (scenarios.some(({ underLoad }) => underLoad) && loadRate > 0) {
      await prepareBucket(this.#cluster.urls, loadBucket, 'lww', signal)
      const loaded: KeySelection = { kind: 'each', from: 0, to: this.#loadKeys }
      await this.#write({ operation: 'put', bucket: loadBucket, keys: loaded })
    }
    // What a replica has missed meanwhile, if anything, must not count as the work of the first repair.
    await repairOnce(this.#staleClient, signal)
    await this.#requireEqual('after the keys were written')
    return seconds
  }

  async #runOnce(scenario: RepairScenario, run: number): Promise<RepairRunReport> {
    const { signal } = this.#watcher
    const { stale, underLoad } = scenario
    const write = (count: number): Promise<void> => this.#overwrite(count, run)
    await makeStale(this.#cluster, this.#clients, staleNode, scenario, write, signal)
    const rowsNeeded = stale === 'all' ? await this.#rowsOfOthers() : stale
    // Trees that are still being loaded are no part of a repair.
    await readTrees(this.#staleUrl, false, signal)
    const measured = { client: this.#staleClient, pids: this.#cluster.pids, rowsNeeded }
    const report = underLoad
      ? await this.#measureUnderLoad(measured)
      : await measureRepair(measured, signal)
    this.#cluster.assertRunning()
    await this.#requireEqual(`after ${scenario.name}, run ${run}`, underLoad ? settleMs : 0)
    return report
  }

  #measureUnderLoad(measured: MeasuredRepair): Promise<RepairRunReport> {
    const { loadRate, loadSeconds, seed } = this.#options
    const keys: KeySelection = { kind: 'random', count: this.#loadKeys, seed }
    const plan: GeneratorPlan = {
      ...this.#plan({ operation: 'put', bucket: loadBucket, keys }),
      opsPerSecond: loadRate
    }
    const load = { generator: this.#generator, plan, beforeMs: loadSeconds * 1000 }
    return measureUnderLoad(measured, load, this.#watcher.signal)
  }

  /** Other keys in every run: the same ones would lie together in the newest tables. */
  async #overwrite(count: number, run: number): Promise<void> {
    const room = this.#options.keys - count
    const from = room === 0 ? 0 : ((run - 1) * count) % (room + 1)
    for (let key = from; key < from + Math.min(count, sampledKeysMax / 10); key++) {
      this.#changed.add(key)
    }
    const others = this.#cluster.urls.filter((_, index) => index !== staleNode)
    const keys: KeySelection = { kind: 'each', from, to: from + count }
    await this.#write({ operation: 'update', keys, urls: others })
  }

  async #rowsOfOthers(): Promise<number> {
    return rowsIn(await readTrees(this.#cluster.urls[0] ?? '', false, this.#watcher.signal))
  }

  async #write(wishes: PlanWishes): Promise<void> {
    const { errors } = await this.#generator.run(this.#plan(wishes), this.#watcher.signal)
    if (errors.size === 0) return
    throw new Error(`keys could not be written: ${describeErrors(errors)}`)
  }

  #plan({ operation, keys, bucket: name = bucket, urls = this.#cluster.urls }: PlanWishes) {
    const { connections, valueBytes } = this.#options
    return {
      targets: urls.map(targetOf),
      operation,
      bucket: name,
      keys,
      valueBytes,
      connections,
      durationMs: null,
      timeoutMs: operationTimeoutMs
    }
  }

  /** `waitMs`: writes that were answered by two replicas may still be on their way to the third. */
  async #requireEqual(when: string, waitMs = settleMs): Promise<void> {
    const { signal } = this.#watcher
    const deadline = performance.now() + waitMs
    for (;;) {
      const { urls } = this.#cluster
      const trees = await Promise.all(urls.map((url) => readTrees(url, false, signal)))
      const differing = differingPartitions(trees)
      if (differing.length === 0) return
      if (performance.now() >= deadline) {
        throw new Error(
          `${when} the replicas differ in ${differing.length} partitions, the first of them ${differing[0]}`
        )
      }
      await sleep(settlePollMs, undefined, { signal })
    }
  }

  get #loadKeys(): number {
    return Math.min(this.#options.keys, loadKeysMax)
  }

  /** Some of the keys that were stale, and others spread over all. */
  #sample(): readonly SampledKey[] {
    const { keys } = this.#options
    const spreadOut = Array.from({ length: sampledKeysMax }, (_, index) =>
      Math.floor((index * keys) / sampledKeysMax)
    )
    const chosen = new Set([...[...this.#changed].slice(0, sampledKeysMax / 2), ...spreadOut])
    return [...chosen].slice(0, sampledKeysMax).map((key) => ({ bucket, key: keyName(key) }))
  }
}

interface PlanWishes {
  readonly operation: GeneratorPlan['operation']
  readonly keys: KeySelection
  readonly bucket?: string
  readonly urls?: readonly string[]
}
