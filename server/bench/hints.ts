import { setTimeout as sleep } from 'node:timers/promises'
import { AnnealClient } from '../../client/client.ts'
import { differingPartitions, readTrees } from '../cli/read-trees.ts'
import { prepareBucket } from './bucket.ts'
import type { Cluster } from './cluster.ts'
import { type Foreground, watchForeground } from './foreground.ts'
import type { GeneratorPlan, GeneratorPool } from './generator.ts'
import { type HintsReport, summarizeHints } from './hints-report.ts'
import { targetOf, type Watcher } from './load.ts'
import { type OwnClusterOptions, onOwnCluster } from './own-cluster.ts'
import { untilUp } from './repair-divergence.ts'
import { proveEqual } from './repair-proof.ts'
import { addErrors, describeErrors } from './report.ts'
import { keyName } from './request-writer.ts'

export interface HintsBenchOptions extends Omit<OwnClusterOptions, 'environment'> {
  /** Keys that are written while a node is down, each of which becomes a hint. */
  readonly hints: number
  readonly valueBytes: number
  readonly connections: number
  /** Writes a second of the users. */
  readonly loadRate: number
  /** How long they are watched at a time. */
  readonly phaseSeconds: number
  readonly seed: number
}

/** The node that goes away and comes back. */
const lostNode = 2
const bucket = 'bench-hints'
/** Keys of the users' own. */
const loadBucket = 'bench-hints-load'
const loadKeysMax = 20_000
const sampledKeysMax = 300
const operationTimeoutMs = 10_000
const pollMs = 1000
/** Of draining, without one hint less, after which something is taken to be wrong. */
const idlePhasesMax = 6
const settleMs = 30_000
const settlePollMs = 250

/**
 * Starts a cluster, takes a node away, writes keys of which each leaves a hint for it, brings it back, and watches what
 * users notice of all that until the last hint has been handed over. At last every node recomputes its trees from its
 * rows, and they are compared.
 *
 * Errors: rejects when a node or a write of a hint fails, when hints are not handed over, and with the signal's reason
 * once that is aborted.
 */
export async function runHintsBenchmark(
  options: HintsBenchOptions,
  watcher: Watcher
): Promise<HintsReport> {
  return onOwnCluster(options, watcher, (cluster, generator) =>
    new HintsBench(options, watcher, generator, cluster).run()
  )
}

interface Backlog {
  readonly hints: number
  readonly hintBytes: number
}

/** A benchmark under way, over its own cluster. */
class HintsBench {
  readonly #options: HintsBenchOptions
  readonly #watcher: Watcher
  readonly #generator: GeneratorPool
  readonly #cluster: Cluster
  readonly #clients: readonly AnnealClient[]
  readonly #survivors: readonly AnnealClient[]

  constructor(
    options: HintsBenchOptions,
    watcher: Watcher,
    generator: GeneratorPool,
    cluster: Cluster
  ) {
    this.#options = options
    this.#watcher = watcher
    this.#generator = generator
    this.#cluster = cluster
    this.#clients = cluster.urls.map((url) => new AnnealClient({ nodes: [url] }))
    this.#survivors = this.#clients.filter((_, index) => index !== lostNode)
  }

  async run(): Promise<HintsReport> {
    const { hints } = this.#options
    const { progress, signal } = this.#watcher
    await untilUp(this.#clients, signal)
    await prepareBucket(this.#cluster.urls, bucket, 'siblings', signal)
    await prepareBucket(this.#cluster.urls, loadBucket, 'lww', signal)
    await this.#write(loadBucket, loadKeysMax)
    const outage = await this.#watch((foreground) => this.#lose(foreground))
    progress(`writing ${hints} keys that the third node misses`)
    const beganMs = performance.now()
    await this.#write(bucket, hints)
    const fillSeconds = (performance.now() - beganMs) / 1000
    const backlog = await this.#backlog()
    const recovery = await this.#watch((foreground) => this.#recover(foreground))
    await this.#untilEqual()
    progress('every node recomputes its trees from its rows')
    const proof = await proveEqual(this.#cluster.urls, this.#sample(), signal)
    const phases = [...outage.phases, ...recovery.phases]
    const errors = addErrors(
      [outage, recovery].map((watched) => Object.fromEntries(watched.errors))
    )
    return summarizeHints({
      fillSeconds,
      drainSeconds: recovery.result,
      ...backlog,
      phases,
      errors,
      proof
    })
  }

  async #lose(foreground: Foreground): Promise<void> {
    await this.#phase(foreground, 'all nodes up')
    await this.#cluster.stopNode(lostNode)
    await untilUp(this.#survivors, this.#watcher.signal)
    await this.#phase(foreground, 'one node down')
  }

  /** Answers in how many seconds all hints were handed over, from when the node was started. */
  async #recover(foreground: Foreground): Promise<number> {
    const { progress } = this.#watcher
    await this.#phase(foreground, 'down, hints waiting')
    const beganMs = performance.now()
    // What users notice of a process that starts is a part of it.
    let left = await foreground.phase('draining', async () => {
      await this.#cluster.startNode(lostNode, 'kept')
      return this.#drainForAPhase()
    })
    for (let idle = 0; left > 0; ) {
      progress(`${left} hints are left`)
      const before = left
      left = await foreground.phase('draining', () => this.#drainForAPhase())
      idle = left < before ? 0 : idle + 1
      if (idle === idlePhasesMax) throw new Error(`${left} hints are left, and none is handed over`)
    }
    const seconds = (performance.now() - beganMs) / 1000
    await this.#phase(foreground, 'afterwards')
    return seconds
  }

  /** Lets hints be handed over until none or one phase is over. Answers how many are left. */
  async #drainForAPhase(): Promise<number> {
    const endMs = performance.now() + this.#options.phaseSeconds * 1000
    let { hints } = await this.#backlog()
    while (hints > 0 && performance.now() < endMs) {
      await sleep(pollMs, undefined, { signal: this.#watcher.signal })
      this.#cluster.assertRunning()
      hints = (await this.#backlog()).hints
    }
    return hints
  }

  #phase(foreground: Foreground, name: string): Promise<void> {
    const { phaseSeconds } = this.#options
    const { progress, signal } = this.#watcher
    progress(`${name}: ${phaseSeconds} seconds`)
    return foreground.phase(name, () => sleep(phaseSeconds * 1000, undefined, { signal }))
  }

  #watch<T>(script: (foreground: Foreground) => Promise<T>) {
    const { loadRate, seed } = this.#options
    const plan: GeneratorPlan = {
      ...this.#plan(loadBucket),
      keys: { kind: 'random', count: loadKeysMax, seed },
      opsPerSecond: loadRate
    }
    return watchForeground(this.#generator, plan, script, this.#watcher.signal)
  }

  async #write(to: string, count: number): Promise<void> {
    const plan: GeneratorPlan = { ...this.#plan(to), keys: { kind: 'each', from: 0, to: count } }
    const { errors } = await this.#generator.run(plan, this.#watcher.signal)
    if (errors.size > 0) throw new Error(`keys could not be written: ${describeErrors(errors)}`)
  }

  #plan(to: string) {
    const { connections, valueBytes } = this.#options
    const urls = this.#cluster.urls.filter((_, index) => index !== lostNode)
    return {
      targets: urls.map(targetOf),
      operation: 'put',
      bucket: to,
      valueBytes,
      connections,
      durationMs: null,
      timeoutMs: operationTimeoutMs
    } as const
  }

  async #backlog(): Promise<Backlog> {
    const backlogs = await Promise.all(this.#survivors.map((client) => client.hints()))
    const all = backlogs.flat()
    return {
      hints: all.reduce((sum, { count }) => sum + count, 0),
      hintBytes: all.reduce((sum, { bytes }) => sum + bytes, 0)
    }
  }

  /** Writes that were answered by two replicas may still be on their way to the third. */
  async #untilEqual(): Promise<void> {
    const { signal } = this.#watcher
    const deadline = performance.now() + settleMs
    for (;;) {
      const { urls } = this.#cluster
      const trees = await Promise.all(urls.map((url) => readTrees(url, false, signal)))
      if (differingPartitions(trees).length === 0 || performance.now() >= deadline) return
      await sleep(settlePollMs, undefined, { signal })
    }
  }

  #sample() {
    const count = Math.min(this.#options.hints, sampledKeysMax)
    return Array.from({ length: count }, (_, index) => ({
      bucket,
      key: keyName(Math.floor((index * this.#options.hints) / count))
    }))
  }
}
