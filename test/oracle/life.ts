import { AnnealError } from '../../core/errors.ts'
import type { Write } from '../../storage/coordinate.ts'
import { encodeObject } from '../../storage/object-codec.ts'
import {
  type ConflictMode,
  contextOf,
  latestTimeOf,
  merge,
  type Versions
} from '../../storage/version.ts'
import { type Rules, soundRules } from './mutants.ts'
import { type Minted, ReplicaNode } from './replica-node.ts'
import { type SeededRandom, seededRandom } from './seeded-random.ts'
import { type Knowledge, nothingKnown, TrueHistory, type Verdict } from './true-history.ts'

/** What can befall nodes besides pauses and clean restarts, and messages besides loss, delay and repetition. */
export interface Faults {
  /** A node, or all of them at once, lose what their disks had not synced. */
  readonly crash?: boolean
  /** The first replica loses its row without noticing. */
  readonly forget?: boolean
  /** The row of the first replica turns into what it was some time ago, without its noticing. */
  readonly turnOld?: boolean
  /** A bit of what the first replica stores flips. */
  readonly damage?: boolean
  /** The last replica comes back with an old copy of its disk, taken while it ran. */
  readonly oldDisk?: boolean
  /** As `oldDisk`, with a copy taken after a clean stop. */
  readonly cleanOldDisk?: boolean
}

export interface LifeOptions {
  readonly mode?: ConflictMode
  readonly durability?: 'fsync' | 'os'
  readonly faults?: Faults
  readonly rules?: Rules
  readonly steps?: number
}

export interface Outcome extends Verdict {
  /** Lives without writes, or without acknowledged ones, would prove nothing. */
  readonly writes: number
  readonly acknowledged: number
}

/**
 * One key lives through random faults on three replicas and two fallbacks, is healed, and is judged against the true
 * history of its writes. The same seed gives the same life, to the last message.
 */
export async function life(seed: number, options: LifeOptions = {}): Promise<Outcome> {
  const history = new TrueHistory(options.mode ?? 'siblings')
  const running = new Life(seededRandom(seed), history, options)
  await running.begin()
  for (let step = options.steps ?? 160; step > 0; step--) await running.step()
  await running.heal()
  running.judge()
  return { ...history.verdict, writes: history.writes, acknowledged: history.acknowledgedWrites }
}

const replicaCount = 3
const fallbackCount = 2
const contextsKept = 12
const largeValueBytes = 5000

interface Message {
  readonly to: ReplicaNode
  readonly object: Buffer
  readonly onConfirmed: () => void
}

class Life {
  readonly #random: SeededRandom
  readonly #history: TrueHistory
  readonly #mode: ConflictMode
  readonly #durability: 'fsync' | 'os'
  readonly #faults: Faults
  readonly #rules: Rules
  readonly #replicas: ReplicaNode[] = []
  readonly #fallbacks: ReplicaNode[] = []
  readonly #clockSkewMs = new Map<ReplicaNode, number>()
  readonly #inFlight: Message[] = []
  readonly #contexts: Knowledge[] = [nothingKnown]
  #nowMs = 1_000_000

  constructor(random: SeededRandom, history: TrueHistory, options: LifeOptions) {
    this.#random = random
    this.#history = history
    this.#mode = options.mode ?? 'siblings'
    this.#durability = options.durability ?? 'fsync'
    this.#faults = options.faults ?? {}
    this.#rules = options.rules ?? soundRules
  }

  async begin(): Promise<void> {
    for (let index = 0; index < replicaCount + fallbackCount; index++) {
      const node = await ReplicaNode.open({
        mode: this.#mode,
        durability: this.#durability,
        rules: this.#rules,
        random: this.#random,
        history: this.#history
      })
      if (index < replicaCount) this.#replicas.push(node)
      else this.#fallbacks.push(node)
      this.#clockSkewMs.set(node, this.#random.below(60))
    }
  }

  async step(): Promise<void> {
    this.#nowMs += this.#random.below(12) - 2
    const dice = this.#random.below(100)
    if (dice < 22) this.#write()
    else if (dice < 34) this.#read()
    else if (dice < 48) this.#deliverLate()
    else if (dice < 54) this.#any(this.#nodes).syncDisk()
    else if (dice < 64) await this.#suffer(dice)
    else if (dice < 69) this.#any(this.#nodes).up = this.#random.below(3) > 0
    else if (dice < 80) this.#handOff(this.#any(this.#fallbacks), this.#any(this.#replicas))
    else this.#exchange(this.#any(this.#replicas), this.#any(this.#replicas))
    for (const node of this.#nodes) if (this.#random.below(3) === 0) await node.settle()
  }

  /** Faults end, everything is delivered, every pair of replicas exchanges what it holds. */
  async heal(): Promise<void> {
    for (const node of this.#nodes) node.up = true
    for (const fallback of this.#fallbacks) {
      for (const replica of this.#replicas) this.#handOff(fallback, replica)
    }
    for (const message of this.#inFlight) this.#deliver(message)
    for (let round = 0; round < 2; round++) {
      for (const a of this.#replicas) for (const b of this.#replicas) this.#exchange(a, b)
      for (const node of this.#nodes) await node.settle()
    }
    // What counts is what a node still has when it starts again.
    for (const replica of this.#replicas) await replica.restart()
  }

  judge(): void {
    const objects = this.#replicas.map((replica) => encodeObject(replica.held(), 'whole'))
    if (new Set(objects.map((object) => object.toString('latin1'))).size > 1) {
      this.#history.replicasDiffer()
    }
    if (this.#keepsTwoCopies) this.#history.ended(this.#replicas.flatMap((node) => node.held()))
  }

  /** Whether the faults leave alone one of any two copies that were called durable. */
  get #keepsTwoCopies(): boolean {
    const { crash, forget, turnOld, damage, oldDisk, cleanOldDisk } = this.#faults
    if (crash === true && this.#durability === 'os') return false
    const firstForgets = forget === true || turnOld === true || damage === true
    return !(firstForgets && (oldDisk === true || cleanOldDisk === true))
  }

  get #nodes(): readonly ReplicaNode[] {
    return [...this.#replicas, ...this.#fallbacks]
  }

  #any<T>(choices: readonly T[]): T {
    const chosen = choices[this.#random.below(choices.length)]
    if (chosen === undefined) throw new Error('there is nothing to choose from')
    return chosen
  }

  /** A put or a delete, blind or with a context, on a replica or a fallback that stands in for one. */
  #write(): void {
    const coordinator = this.#any(this.#random.below(5) === 0 ? this.#fallbacks : this.#replicas)
    if (!coordinator.up) return
    const known = this.#contextOfWriter()
    const minted = this.#mint(coordinator, known)
    if (minted === null) return
    const confirmed = new Set<ReplicaNode>()
    const confirm = (node: ReplicaNode) => () => {
      if (!this.#replicas.includes(node)) return
      confirmed.add(node)
      if (confirmed.size === 2) this.#answer(minted, known)
    }
    void minted.confirmed.then(confirm(coordinator))
    const object =
      this.#rules.replicate === 'merged'
        ? coordinator.message()
        : encodeObject([minted.version], 'whole')
    if (object === null) return
    for (const to of this.#replicas) {
      if (to !== coordinator) this.#send({ to, object, onConfirmed: confirm(to) })
    }
  }

  #contextOfWriter(): Knowledge {
    if (this.#random.below(3) === 0) return nothingKnown
    const latest = this.#contexts.at(-1)
    return this.#random.below(2) === 0 && latest !== undefined ? latest : this.#any(this.#contexts)
  }

  #mint(coordinator: ReplicaNode, { vector, timeMs, seen }: Knowledge): Minted | null {
    const text = Buffer.from(`written at ${this.#nowMs}`)
    const large = Buffer.concat([text, Buffer.alloc(largeValueBytes)])
    const isDelete = this.#random.below(3) === 0
    const write: Write = {
      value: isDelete ? null : this.#random.below(6) === 0 ? large : text,
      contentType: isDelete ? '' : 'text/plain',
      meta: [],
      ttlMs: 0,
      context: vector,
      contextTimeMs: this.#rules.contextTime === 'kept' ? timeMs : 0,
      coversAllHeld: isDelete && this.#random.below(2) === 0
    }
    const nowMs = this.#nowMs + (this.#clockSkewMs.get(coordinator) ?? 0)
    return this.#unlessRepeated(() => coordinator.coordinate(write, seen, nowMs))
  }

  /** The write is acknowledged, and the writer goes on with the context of the answer. */
  #answer(minted: Minted, known: Knowledge): void {
    this.#history.acknowledge(minted.id)
    const vector = this.#rules.answer === 'seen' ? minted.context : contextOf(minted.versions)
    const timeMs = Math.max(minted.contextTimeMs, known.timeMs)
    this.#learn({ vector, timeMs, seen: minted.seen })
  }

  /** A read of up to two replicas. */
  #read(): void {
    let shown: Versions = []
    for (let i = 0; i < 2; i++) {
      const replica = this.#any(this.#replicas)
      const held = replica.up ? replica.held() : []
      const merged = this.#unlessRepeated(() => merge(shown, held, this.#mode))
      if (merged === null) continue
      this.#history.merged(shown, held, merged)
      shown = merged
    }
    const seen = this.#history.seenIn(shown)
    this.#learn({ vector: contextOf(shown), timeMs: latestTimeOf(shown), seen })
  }

  #learn(knowledge: Knowledge): void {
    this.#history.handedOut(knowledge)
    this.#contexts.push(knowledge)
    if (this.#contexts.length > contextsKept) this.#contexts.shift()
  }

  /** At once, late, both, or never. */
  #send(message: Message): void {
    if (this.#random.below(3) > 0 && message.to.up) this.#deliver(message)
    else if (this.#random.below(2) === 0) this.#inFlight.push(message)
    if (this.#random.below(12) === 0) this.#inFlight.push(message)
  }

  /** A message that was held up arrives, and perhaps not for the last time. */
  #deliverLate(): void {
    if (this.#inFlight.length === 0) return
    const at = this.#random.below(this.#inFlight.length)
    const message = this.#inFlight[at]
    if (this.#random.below(4) > 0) this.#inFlight.splice(at, 1)
    if (message?.to.up === true) this.#deliver(message)
  }

  #deliver({ to, object, onConfirmed }: Message): void {
    const confirmed = this.#unlessRepeated(() => to.receive(object))
    if (confirmed !== null) void confirmed.then(onConfirmed)
  }

  /** The fallback lets its row go once a replica vouches for it. */
  #handOff(fallback: ReplicaNode, replica: ReplicaNode): void {
    const object = fallback.up && replica.up ? fallback.message() : null
    if (object === null) return
    this.#deliver({ to: replica, object, onConfirmed: () => fallback.letGo(object) })
  }

  #exchange(a: ReplicaNode, b: ReplicaNode): void {
    if (a === b || !a.up || !b.up) return
    const [ofA, ofB] = [a.message(), b.message()]
    if (ofA !== null) this.#deliver({ to: b, object: ofA, onConfirmed() {} })
    if (ofB !== null) this.#deliver({ to: a, object: ofB, onConfirmed() {} })
  }

  async #suffer(dice: number): Promise<void> {
    const { crash, forget, turnOld, damage, oldDisk, cleanOldDisk } = this.#faults
    const [first] = this.#replicas
    const last = this.#replicas.at(-1)
    if (first === undefined || last === undefined) return
    if (dice === 54 && crash === true) await this.#any(this.#nodes).crash()
    else if (dice === 55 && crash === true) for (const node of this.#nodes) await node.crash()
    else if (dice === 56 && forget === true) await first.forget()
    else if (dice === 57 && damage === true) await first.damage()
    else if (dice === 58 && oldDisk === true) last.copyDisk()
    else if (dice === 59 && oldDisk === true) await last.returnOldDisk()
    else if (dice === 60 && cleanOldDisk === true) await last.restart()
    else if (dice === 61 && cleanOldDisk === true) await last.returnCleanDisk()
    else if (dice === 62) await this.#any(this.#nodes).restart()
    else if (dice >= 58 && turnOld === true) await first.turnOld()
  }

  /** Null, and noted, where one dot turned out to stand for two payloads. */
  #unlessRepeated<T>(act: () => T): T | null {
    try {
      return act()
    } catch (thrown) {
      if (!(thrown instanceof AnnealError) || !/two different payloads/.test(thrown.message)) {
        throw thrown
      }
      this.#history.dotRepeated()
      return null
    }
  }
}
