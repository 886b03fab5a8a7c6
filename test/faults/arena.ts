import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SeededRandom } from '../sim/seeded-random.ts'
import { ClientLoad } from './client-load.ts'
import { evidenceOf } from './evidence.ts'
import { FaultCluster, type FaultClusterOptions } from './fault-cluster.ts'
import { watchHealing } from './healing.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { lwwBucket, Oracle } from './oracle.ts'

export interface ArenaOptions {
  readonly directory: string
  readonly rounds: number
  readonly isQuick: boolean
  readonly random: SeededRandom
  readonly say: (text: string) => void
}

const settleMs = 500
const attemptsMax = 4

/** Where one scenario takes place: a cluster, clients that keep it busy, and the oracle that judges what they see. */
export class Arena {
  readonly directory: string
  readonly rounds: number
  readonly isQuick: boolean
  readonly random: SeededRandom
  readonly say: (text: string) => void
  readonly oracle = new Oracle()
  roundsDone = 0
  /** The longest time that equal replicas took after a fault, with no client there. */
  longestHealingMs = 0
  readonly #undo: (() => Promise<void> | void)[] = []
  #cluster: FaultCluster | null = null
  #load: ClientLoad | null = null

  constructor(options: ArenaOptions) {
    this.directory = options.directory
    this.rounds = options.rounds
    this.isQuick = options.isQuick
    this.random = options.random
    this.say = options.say
    mkdirSync(this.directory, { recursive: true })
  }

  get cluster(): FaultCluster {
    if (this.#cluster === null) throw new Error('the cluster has not been planned')
    return this.#cluster
  }

  get longestGapMs(): number {
    return this.#load?.longestGapMs ?? 0
  }

  /** Names the nodes and makes their directories; `begin` starts them. */
  async plan(options: Omit<FaultClusterOptions, 'directory'> = {}): Promise<FaultCluster> {
    const directory = join(this.directory, 'nodes')
    this.#cluster = await FaultCluster.plan({ ...options, directory })
    return this.#cluster
  }

  /**
   * Starts the cluster and the clients, and gives them time for a few writes. `lwwShare`: of their calls, those on keys
   * where the latest write wins.
   */
  async begin(lwwShare = 0): Promise<void> {
    const { nodes } = this.cluster
    await this.cluster.start()
    if (lwwShare > 0) await makeLwwBucket(this.cluster.node(1))
    this.#load = new ClientLoad(nodes, this.oracle, this.random.fork('clients'), lwwShare)
    this.#load.start()
    await sleep(settleMs)
  }

  /** The clients pause, so that what a scenario does now is all that happens; `judge` lets them go on. */
  async quiet(): Promise<void> {
    await this.#load?.stop()
  }

  /** The clients go on. */
  resume(): void {
    this.#load?.start()
  }

  /** Lets the clients go on for a while. */
  async pass(minMs: number, maxMs = minMs): Promise<void> {
    await sleep(this.random.between(minMs, maxMs))
  }

  /**
   * After a fault: every node is started and ready, and the clients pause. First the replicas must become equal by
   * themselves; only then everything is read, which would repair it, and judged. The clients go on. Where a node that may
   * do so ends meanwhile, `replace` is to bring it back, and the judgement begins anew.
   */
  async judge(
    replace: (node: LaunchedProcess) => Promise<unknown> = async () => {}
  ): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      if (await this.#isWhole()) break
      const ended = this.cluster.nodes.filter(({ isRunning }) => !isRunning)
      if (ended.length === 0 || attempt === attemptsMax)
        throw new Error('the judgement found no end')
      for (const node of ended) await replace(node)
    }
    for (const node of this.cluster.nodes) {
      for (const ending of node.unexpectedEndings.splice(0)) this.oracle.findings.surprise(ending)
      node.mayEnd = false
    }
    this.#load?.start()
  }

  /** False where a node ended while it started, healed or was read, or did not answer in time. */
  async #isWhole(): Promise<boolean> {
    const { nodes } = this.cluster
    const { findings } = this.oracle
    try {
      await this.cluster.start()
    } catch (error) {
      if (nodes.every(({ isRunning }) => isRunning)) throw error
      return false
    }
    await this.#load?.stop()
    if (!(await this.#heals())) return false
    const wrongBefore = findings.wrongKeys
    const isWhole = await this.oracle.sweep(nodes)
    for (const key of findings.wrongKeys) {
      if (!wrongBefore.has(key)) findings.explain(await evidenceOf(nodes, key))
    }
    return isWhole
  }

  /** False where a node ended meanwhile. */
  async #heals(): Promise<boolean> {
    const outcome = await watchHealing(this.cluster.nodes)
    if (outcome.kind === 'nodeEnded') return false
    const { wrong, equalAfterMs, leavesFound } = outcome
    if (wrong !== null) this.oracle.findings.surprise(`round ${this.roundsDone + 1}: ${wrong}`)
    // Where nothing was forgotten, and nothing damaged, the trees are exact whatever has ended the processes.
    const isExact = leavesFound === 0 || this.oracle.copiesLost > 0
    this.expect(isExact, `round ${this.roundsDone + 1}: ${leavesFound} leaves were not their rows`)
    this.longestHealingMs = Math.max(this.longestHealingMs, equalAfterMs)
    return true
  }

  roundDone(text: string): void {
    this.roundsDone++
    this.say(`round ${this.roundsDone} of ${this.rounds}: ${text}`)
  }

  /** What does not hold is a finding, and the scenario goes on. */
  expect(condition: boolean, otherwise: string): void {
    if (!condition) this.oracle.findings.surprise(otherwise)
  }

  /** Something to take away again when the scenario is over, in the reverse order, after the processes. */
  undo(action: () => Promise<void> | void): void {
    this.#undo.push(action)
  }

  async close(): Promise<void> {
    // The processes first: a client that waits for one that is stopped would wait for long.
    await this.#cluster?.stop()
    await this.#load?.stop()
    for (const action of this.#undo.reverse()) await action()
  }

  /** As `close`, for when there is no time to wait. */
  abandon(): void {
    this.#cluster?.abandon()
  }
}

async function makeLwwBucket(node: LaunchedProcess): Promise<void> {
  const answer = await fetch(`${node.url}/buckets/${lwwBucket}`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ conflict: 'lww' })
  })
  if (!answer.ok) throw new Error(`the bucket was refused: ${answer.status} ${await answer.text()}`)
  await answer.body?.cancel()
}
