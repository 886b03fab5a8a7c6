import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerProcess } from '../cluster/server-process.ts'
import type { SeededRandom } from '../sim/seeded-random.ts'
import { type CallOutcome, type Knowledge, lwwPrefix, type Oracle } from './oracle.ts'

const clients = 8
const pauseMs = 80
const avoidedMs = 700
const hotKeys = 12
const coldKeys = 120
const purgedKeys = 12
const lwwKeys = 20
const rememberedMax = 8

/**
 * Clients at a constant modest load: reads, writes with and without what was read before, deletes; a few hot keys and
 * many cold ones. A client that a node has failed asks others for a while, as client libraries do.
 */
export class ClientLoad {
  readonly #nodes: readonly ServerProcess[]
  readonly #oracle: Oracle
  readonly #random: SeededRandom
  readonly #lwwShare: number
  readonly #memories = new Map<string, Knowledge[]>()
  #running: Promise<unknown> | null = null
  #isOver = false
  #lastAcknowledgedMs = 0
  /** The longest time in which not one write was acknowledged while the clients were trying. */
  longestGapMs = 0

  /** `lwwShare`: of all calls, those on keys where the latest write wins. */
  constructor(
    nodes: readonly ServerProcess[],
    oracle: Oracle,
    random: SeededRandom,
    lwwShare: number
  ) {
    this.#lwwShare = lwwShare
    this.#nodes = nodes
    this.#oracle = oracle
    this.#random = random
  }

  start(): void {
    if (this.#running !== null) return
    this.#isOver = false
    this.#lastAcknowledgedMs = performance.now()
    this.#running = Promise.all(Array.from({ length: clients }, () => this.#client()))
  }

  /** Resolves when no call is in progress any more. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
    this.#running = null
  }

  async #client(): Promise<void> {
    const avoidedUntilMs = new Map<ServerProcess, number>()
    while (!this.#isOver) {
      const now = performance.now()
      const usable = this.#nodes.filter((node) => (avoidedUntilMs.get(node) ?? 0) < now)
      const node = this.#random.pick(usable.length === 0 ? this.#nodes : usable)
      const outcome = await this.#operate(node)
      if (outcome.kind === 'failed') avoidedUntilMs.set(node, performance.now() + avoidedMs)
      await sleep(this.#random.between(0, 2 * pauseMs))
    }
    this.#noteGap()
  }

  async #operate(node: ServerProcess): Promise<CallOutcome> {
    const key = this.#anyKey()
    const history = this.#oracle.historyOf(key)
    const dice = this.#random.int(100)
    const known = this.#random.chance(0.7) ? this.#recall(key) : null
    if (dice < 40) return this.#reading(node, key)
    if (dice < 90 || (known === null && !key.startsWith('purged'))) {
      const isLarge = this.#random.chance(0.15)
      return this.#writing(key, await this.#oracle.put(node, history, known, isLarge))
    }
    return this.#writing(key, await this.#oracle.delete(node, history, known))
  }

  async #reading(node: ServerProcess, key: string): Promise<CallOutcome> {
    const r = this.#random.pick(['quorum', 'quorum', 'quorum', 'one', 'all'])
    return this.#remember(key, await this.#oracle.read(node, this.#oracle.historyOf(key), r))
  }

  #writing(key: string, outcome: CallOutcome): CallOutcome {
    if (outcome.kind === 'answered') this.#noteGap()
    return this.#remember(key, outcome)
  }

  #noteGap(): void {
    const now = performance.now()
    this.longestGapMs = Math.max(this.longestGapMs, now - this.#lastAcknowledgedMs)
    this.#lastAcknowledgedMs = now
  }

  #remember(key: string, outcome: CallOutcome): CallOutcome {
    if (outcome.kind === 'failed' || outcome.knowledge.token === undefined) return outcome
    const memories = this.#memories.get(key) ?? []
    memories.push(outcome.knowledge)
    if (memories.length > rememberedMax) memories.shift()
    this.#memories.set(key, memories)
    return outcome
  }

  /** Mostly the latest that any client was told of the key, now and then something older. */
  #recall(key: string): Knowledge | null {
    const memories = this.#memories.get(key) ?? []
    if (memories.length === 0) return null
    return this.#random.chance(0.8) ? (memories.at(-1) ?? null) : this.#random.pick(memories)
  }

  /** A delete without a context explains any absence, so only the purged keys, which are few, ever get one. */
  #anyKey(): string {
    if (this.#random.chance(this.#lwwShare)) return `${lwwPrefix}${this.#random.int(lwwKeys)}`
    const dice = this.#random.int(100)
    if (dice < 45) return `hot/${this.#random.int(hotKeys)}`
    if (dice < 95) return `cold/${this.#random.int(coldKeys)}`
    return `purged/${this.#random.int(purgedKeys)}`
  }
}
