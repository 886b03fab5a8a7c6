import { isKnown } from '../../repair/arrival.ts'
import type { ReportTable } from '../../repair/report-table.ts'
import { mergeTables, vectorAt } from '../../repair/report-table.ts'
import { coversVersion, isAtOrBelow, joinWatermarks } from '../../repair/watermark-vector.ts'
import type { Write } from '../../storage/coordinate.ts'
import {
  type ConflictMode,
  contextOf,
  isLive,
  latestTimeOf,
  merge,
  type Version,
  type Versions
} from '../../storage/version.ts'
import { type Dot, formatDot, type VersionVector } from '../../storage/version-vector.ts'
import {
  type ProvingLife,
  ProvingNode,
  type ProvingRules,
  partition,
  soundProving
} from './proving-node.ts'
import { type SeededRandom, seededRandom } from './seeded-random.ts'

export interface ProvingFaults {
  readonly crash?: boolean
  readonly forget?: boolean
  readonly oldDisk?: boolean
}

export interface ProvingOptions {
  readonly rules?: ProvingRules
  readonly faults?: ProvingFaults
  readonly mode?: ConflictMode
  readonly durability?: 'fsync' | 'os'
  readonly steps?: number
}

/** What went wrong in a life, and, in the last two, what was done. */
export interface ProvingOutcome {
  /** Versions dropped although no writer of what was kept had seen them. */
  lies: number
  /** Values in quarantine that nobody ever overwrote, where no fault can have lost them. */
  buried: number
  /** Versions that a collected tombstone had buried and that are alive at the end. */
  resurrected: number
  /** Acknowledged values that are neither alive nor overwritten by anything. */
  lost: number
  diverged: number
  /** Everything is proven at the end, so that none is left. */
  tombstonesLeft: number
  collected: number
  quarantined: number
}

interface Knowledge {
  readonly vector: VersionVector
  readonly timeMs: number
  readonly seen: ReadonlySet<string>
}

interface Message {
  readonly to: ProvingNode
  readonly versions: Versions
}

const ignorant: Knowledge = { vector: new Map(), timeMs: 0, seen: new Set() }
const contextsKept = 12

/**
 * One key on three replicas and two fallbacks: writes, deletes, lost and late messages, pauses, faults, exchanges that
 * prove watermarks, and collection; then everything heals, and what is left is judged against what writers had seen.
 */
export async function provingLife(
  seed: number,
  options: ProvingOptions = {}
): Promise<ProvingOutcome> {
  const running = new Running(seededRandom(seed), options)
  await running.begin()
  for (let step = options.steps ?? 160; step > 0; step--) await running.step()
  await running.heal()
  return running.judge()
}

class Running {
  readonly #random: SeededRandom
  readonly #rules: ProvingRules
  readonly #faults: ProvingFaults
  readonly #mode: ConflictMode
  readonly #durability: 'fsync' | 'os'
  readonly #replicas: ProvingNode[] = []
  readonly #fallbacks: ProvingNode[] = []
  readonly #inFlight: Message[] = []
  readonly #contexts: Knowledge[] = []
  readonly #written = new Map<string, { version: Version; seen: ReadonlySet<string> }>()
  readonly #acknowledged = new Set<string>()
  readonly #collected = new Set<string>()
  #nowMs = 1_000_000
  #lies = 0

  constructor(random: SeededRandom, options: ProvingOptions) {
    this.#random = random
    this.#rules = options.rules ?? soundProving
    this.#faults = options.faults ?? {}
    this.#mode = options.mode ?? 'siblings'
    this.#durability = options.durability ?? 'os'
  }

  async begin(): Promise<void> {
    const byId = new Map<string, ProvingNode>()
    const life: ProvingLife = {
      rules: this.#rules,
      mode: this.#mode,
      durability: this.#durability,
      random: this.#random,
      replicaIds: ['n1', 'n2', 'n3'],
      nodeOf: (id) => byId.get(id) as ProvingNode,
      nowMs: () => this.#nowMs,
      onReceived: (node, union, quarantined) => this.#checkDrops(node, union, quarantined)
    }
    for (const id of ['n1', 'n2', 'n3', 'n4', 'n5']) {
      const node = await ProvingNode.open(id, life)
      byId.set(id, node)
      if (node.isReplica) this.#replicas.push(node)
      else this.#fallbacks.push(node)
    }
  }

  async step(): Promise<void> {
    this.#nowMs += 1 + this.#random.below(10)
    const dice = this.#random.below(100)
    const replica = this.#any(this.#replicas)
    if (dice < 16) await this.#write()
    else if (dice < 32) this.#read()
    else if (dice < 46) await this.#deliverLate()
    else if (dice < 49) await this.#any(this.#nodes).sync()
    else if (dice < 58) await this.#suffer(dice)
    else if (dice < 61) this.#any(this.#nodes).up = this.#random.below(3) > 0
    else if (dice < 68) await this.#handOff(this.#any(this.#fallbacks), replica)
    else if (dice < 90) await this.#session(replica, this.#other(replica))
    else await this.#collect(replica)
    await this.#settle()
  }

  async heal(): Promise<void> {
    for (const node of this.#nodes) node.up = true
    // A hint that is refused is tried again after the exchanges that let it be judged.
    for (let round = 0; round < 4; round++) {
      for (const fallback of this.#fallbacks) {
        for (const replica of this.#replicas) await this.#handOff(fallback, replica)
      }
      for (const { to, versions } of this.#inFlight.splice(0)) await to.receive(versions, null)
      await this.#settle()
      for (const a of this.#replicas) for (const b of this.#replicas) await this.#session(a, b)
      for (const replica of this.#replicas) await this.#collect(replica)
      await this.#settle()
    }
  }

  /** Whatever a replica let go must have been seen by the writer of something beside it, or be gone by proof. */
  #checkDrops(node: ProvingNode, union: Versions, quarantined: readonly Dot[]): void {
    const kept = new Set(node.held().map(nameOf))
    const aside = new Set(quarantined.map(formatDot))
    for (const version of union) {
      const name = nameOf(version)
      if (kept.has(name) || aside.has(name) || this.#isGone(name)) continue
      const isOverwritten = union.some(
        (other) =>
          this.#written.get(nameOf(other))?.seen.has(name) === true ||
          (this.#mode === 'lww' && other !== version && other.timeMs >= version.timeMs)
      )
      if (!isOverwritten && !this.#replicas.some((replica) => replica.collects(version)))
        this.#lies++
    }
  }

  async judge(): Promise<ProvingOutcome> {
    const held = this.#replicas.map((replica) => replica.held())
    const alive = new Set(held.flat().map(nameOf))
    const seenByAny = new Set([...this.#written.values()].flatMap(({ seen }) => [...seen]))
    const values = [...alive].filter((name) => this.#written.get(name)?.version.tombstone === false)
    const lost = [...this.#acknowledged].filter(
      (name) => !seenByAny.has(name) && !alive.has(name) && !this.#isSurpassed(name, held.flat())
    )
    return {
      lies: this.#lies,
      buried: this.#losesCopies ? 0 : await this.#buried(seenByAny),
      resurrected: values.filter((name) => this.#isGone(name)).length,
      lost: this.#keepsTwoCopies ? lost.length : 0,
      diverged: new Set(held.map((versions) => versions.map(nameOf).join())).size > 1 ? 1 : 0,
      tombstonesLeft: alive.size - values.length,
      collected: this.#collected.size,
      quarantined: this.#replicas.reduce(
        (sum, { reception }) => sum + reception.counters.resurrections,
        0
      )
    }
  }

  /** Whether the faults leave alone one of any two copies that were called durable. */
  get #keepsTwoCopies(): boolean {
    return this.#durability === 'fsync' || this.#faults.crash !== true
  }

  get #losesCopies(): boolean {
    return this.#faults.crash === true || this.#faults.forget === true || this.#mode === 'lww'
  }

  async #buried(seenByAny: ReadonlySet<string>): Promise<number> {
    const names = new Set<string>()
    for (const replica of this.#replicas) {
      for (const { version } of await replica.quarantined()) {
        if (!version.tombstone && !seenByAny.has(nameOf(version))) names.add(nameOf(version))
      }
    }
    return names.size
  }

  /** Overwritten by a write whose tombstone was collected, or by that tombstone. */
  #isGone(name: string): boolean {
    if (this.#collected.has(name)) return true
    return [...this.#collected].some((gone) => this.#written.get(gone)?.seen.has(name) === true)
  }

  /** In `lww`, any later write overwrites: one that is held, or a tombstone that was collected. */
  #isSurpassed(name: string, held: Versions): boolean {
    if (this.#written.get(name)?.version.tombstone === true) return true
    if (this.#mode !== 'lww') return false
    const timeMs = this.#written.get(name)?.version.timeMs ?? 0
    const gone = [...this.#collected].map((other) => this.#written.get(other)?.version.timeMs ?? 0)
    return held.some((other) => other.timeMs >= timeMs) || gone.some((other) => other >= timeMs)
  }

  get #nodes(): readonly ProvingNode[] {
    return [...this.#replicas, ...this.#fallbacks]
  }

  #any<T>(choices: readonly T[]): T {
    return choices[this.#random.below(choices.length)] as T
  }

  #other(replica: ProvingNode): ProvingNode {
    return this.#any(this.#replicas.filter((node) => node !== replica))
  }

  async #settle(): Promise<void> {
    for (const node of this.#nodes) await node.settle()
  }

  async #write(): Promise<void> {
    const isDelete = this.#random.below(3) === 0
    const node = this.#any(this.#random.below(5) === 0 ? this.#fallbacks : this.#replicas)
    if (!node.up) return
    const blind = this.#random.below(3) === 0 || this.#contexts.length === 0
    const latest = this.#contexts.at(-1) ?? ignorant
    const known = blind ? ignorant : this.#random.below(2) > 0 ? latest : this.#any(this.#contexts)
    const write: Write = {
      value: isDelete ? null : Buffer.from(`written at ${this.#nowMs}`),
      contentType: '',
      meta: [],
      ttlMs: 0,
      context: known.vector,
      contextTimeMs: known.timeMs,
      coversAllHeld: false
    }
    const dead = node.held().filter((held) => !isLive(held, this.#nowMs))
    const seen = new Set([...known.seen, ...this.#seenIn(dead)])
    const { version, versions } = node.coordinate(write)
    const name = nameOf(version)
    this.#written.set(name, { version, seen })
    if (this.#durability === 'fsync') await node.settle()
    let acknowledgements = node.isReplica ? 1 : 0
    for (const to of this.#replicas) {
      if (to === node) continue
      if (this.#random.below(3) > 0 && to.up) {
        if (await to.receive(versions, node)) acknowledgements++
      } else if (this.#random.below(2) === 0) this.#inFlight.push({ to, versions })
    }
    if (acknowledgements >= 2) this.#acknowledged.add(name)
  }

  #read(): void {
    let shown: Versions = []
    for (let i = 0; i < 2; i++) {
      const replica = this.#any(this.#replicas)
      if (replica.up && !replica.watermarks.isBehind(partition)) {
        shown = merge(shown, replica.held(), this.#mode)
      }
    }
    const seen = this.#seenIn(shown)
    this.#contexts.push({ vector: contextOf(shown), timeMs: latestTimeOf(shown), seen })
    if (this.#contexts.length > contextsKept) this.#contexts.shift()
  }

  /** All that somebody knows who is shown these versions. */
  #seenIn(versions: Versions): Set<string> {
    const seen = new Set<string>()
    for (const version of versions) {
      seen.add(nameOf(version))
      for (const name of this.#written.get(nameOf(version))?.seen ?? []) seen.add(name)
    }
    return seen
  }

  async #deliverLate(): Promise<void> {
    if (this.#inFlight.length === 0) return
    const at = this.#random.below(this.#inFlight.length)
    const message = this.#inFlight[at]
    if (this.#random.below(4) > 0) this.#inFlight.splice(at, 1)
    if (message?.to.up === true) await message.to.receive(message.versions, null)
  }

  async #suffer(dice: number): Promise<void> {
    const { crash, forget, oldDisk } = this.#faults
    const [first, , last] = this.#replicas
    if (dice < 52 && crash === true) await this.#any(this.#nodes).crash()
    else if (dice < 54 && forget === true) await first?.forget()
    else if (dice < 56 && oldDisk === true) last?.copyDisk()
    else if (dice < 58 && oldDisk === true) await last?.returnOldDisk()
    this.#hearOfStarts()
  }

  /** A node that starts is linked to its peers, and tells them of its new incarnation, before it is lost again. */
  #hearOfStarts(): void {
    const tables = this.#nodes.map((node) => node.report())
    for (const node of this.#nodes) for (const table of tables) node.watermarks.learnReports(table)
  }

  async #handOff(fallback: ProvingNode, replica: ProvingNode): Promise<void> {
    const versions = fallback.up && replica.up ? fallback.held() : []
    if (versions.length === 0 || !(await replica.receive(versions, fallback))) return
    await replica.sync()
    fallback.letGo()
  }

  async #collect(replica: ProvingNode): Promise<void> {
    if (!replica.up) return
    const before = replica.held()
    await replica.collect()
    const after = new Set(replica.held().map(nameOf))
    for (const version of before)
      if (!after.has(nameOf(version))) this.#collected.add(nameOf(version))
  }

  /** An exchange of two replicas as the protocol has it: reports, differences both ways, sync, proof, join. */
  async #session(a: ProvingNode, b: ProvingNode): Promise<void> {
    if (a === b || !a.up || !b.up) return
    const table = this.#refresh(a, b)
    const [vectorOfA, vectorOfB] = [a.watermarks.vector(partition), b.watermarks.vector(partition)]
    a.watermarks.hear(partition, vectorOfB)
    b.watermarks.hear(partition, vectorOfA)
    if (this.#rules.watermarkNeedsEqualPairs) {
      await this.#exchange(a, b)
      await this.#exchange(a, b)
      if (!this.#isEqual(a, b, table)) return
    }
    if (this.#rules.watermarkNeedsSyncedRows) {
      await a.sync()
      await b.sync()
    }
    b.watermarks.noteProof([partition], a.id, table)
    if (this.#random.below(8) === 0) return // the answer is lost
    a.watermarks.noteProof([partition], b.id, table)
    for (const proof of b.watermarks.proofsFor(a.id, [partition])) a.watermarks.hearProof(proof)
    for (const proof of a.watermarks.proofsFor(b.id, [partition])) b.watermarks.hearProof(proof)
    a.watermarks.join(partition, vectorOfB, table)
    b.watermarks.join(partition, vectorOfA, table)
  }

  #refresh(a: ProvingNode, b: ProvingNode): ReportTable {
    let table = a.report()
    for (const node of this.#nodes) if (node.up) table = mergeTables(table, node.report())
    a.watermarks.learnReports(table)
    b.watermarks.learnReports(table)
    return table
  }

  async #exchange(a: ProvingNode, b: ProvingNode): Promise<void> {
    const [ofA, ofB] = [this.#lackedBy(b, a), this.#lackedBy(a, b)]
    if (ofA.length > 0) await b.receive(ofA, a)
    // What the other side has set aside meanwhile is not shipped any more.
    const still = new Set(b.held().map(nameOf))
    const rest = ofB.filter((version) => still.has(nameOf(version)))
    if (rest.length > 0) await a.receive(rest, b)
    await this.#settle()
  }

  /** What `b` holds and `a` neither holds nor has overwritten, without what counts as absent. */
  #lackedBy(a: ProvingNode, b: ProvingNode): Versions {
    const held = a.held()
    return this.#present(b, a).filter((version) => !isKnown(held, version, this.#mode))
  }

  #present(node: ProvingNode, peer: ProvingNode): Versions {
    const joined = joinWatermarks(
      node.watermarks.vector(partition),
      peer.watermarks.vector(partition)
    )
    return node
      .held()
      .filter((version) => isLive(version, this.#nowMs) || !coversVersion(joined, version))
  }

  #isEqual(a: ProvingNode, b: ProvingNode, table: ReportTable): boolean {
    const reported = vectorAt(table, partition)
    const differences = [...this.#lackedBy(a, b), ...this.#lackedBy(b, a)]
    return !differences.some(({ dot }) => isAtOrBelow(reported, dot))
  }
}

function nameOf({ dot }: Version): string {
  return formatDot(dot)
}
