import { vectorEntriesMax } from '../core/limits.ts'
import { isLive, type Version } from '../storage/version.ts'
import type { Dot } from '../storage/version-vector.ts'
import {
  includes,
  makePair,
  type Pair,
  type PairProof,
  PairProofs,
  pairsOf
} from './pair-proofs.ts'
import { emptyTable, mergeTables, type ReportTable, vectorAt } from './report-table.ts'
import {
  type ContentName,
  coversVersion,
  descendsWatermark,
  isAtOrBelow,
  joinWatermarks,
  meetWatermarks,
  nameOfWatermark,
  noWatermark,
  type WatermarkVector
} from './watermark-vector.ts'

export interface WatermarksOptions {
  readonly selfId: string
  readonly partitions: number
  readonly replicasOf: (partition: number) => readonly string[]
  /** Writes down what has changed, behind everything that was staged before. */
  readonly onChange: (change: WatermarkChange) => void
}

/** What has to be written down after something was learned. */
export type WatermarkChange =
  | { readonly kind: 'table' }
  | { readonly kind: 'proofs'; readonly pair: Pair; readonly partitions: readonly number[] }
  | { readonly kind: 'prepared'; readonly pair: Pair; readonly partitions: readonly number[] }
  | { readonly kind: 'watermarks'; readonly partitions: readonly number[] }
  | { readonly kind: 'doubts'; readonly partitions: readonly number[] }

/** Why the watermark of a partition is not higher. */
export interface Holdup {
  readonly partition: number
  readonly pairsWithoutProof: readonly Pair[]
  readonly pairsNotUpToDate: readonly Pair[]
}

/**
 * What this node knows to have reached all replicas of each of its partitions. Every pair of replicas that ended an
 * exchange without a difference at or below the reported numbers has proven those numbers; what all pairs have proven
 * is the watermark. It rises by such a conclusion, or by joining a peer's after an equal exchange with that peer, and
 * never by hearsay: otherwise a node with an old copy of its disk would take its own losses for what was deleted.
 */
export class Watermarks {
  readonly #options: WatermarksOptions
  readonly #proofs: PairProofs
  /**
   * What this node was about to have proven with its peers. The peer may note such a proof first, or alone, if one of the
   * two stops in between, and others hear of it: this node can answer for it all the same.
   */
  readonly #prepared: PairProofs
  readonly #vectors: WatermarkVector[]
  /** The join of what peers have named, where it is above what this node can answer for. */
  readonly #ahead = new Map<number, WatermarkVector>()
  /**
   * Where rows were found damaged, and not all own pairs have been proven since: what this node could answer for without
   * that damage.
   */
  readonly #doubts = new Map<number, WatermarkVector>()
  readonly #timesForgotten = new Map<number, number>()
  readonly #byName = new Map<ContentName, WatermarkVector>()
  #table: ReportTable = emptyTable

  constructor(options: WatermarksOptions) {
    this.#options = options
    this.#proofs = new PairProofs(options.partitions)
    this.#prepared = new PairProofs(options.partitions)
    this.#vectors = new Array<WatermarkVector>(options.partitions).fill(noWatermark)
  }

  /** Whether the write is known to have reached all replicas: they hold it, or have held it and let it go. */
  atOrBelow(partition: number, dot: Dot): boolean {
    return isAtOrBelow(this.vector(partition), dot)
  }

  /** Whether the version and all that it overwrote are known to have reached all replicas. */
  covers(partition: number, version: Version): boolean {
    return coversVersion(this.vector(partition), version)
  }

  /** A tombstone, or an expired version, that buries nothing any replica might still bring up. */
  collectable(partition: number, version: Version, nowMs: number): boolean {
    return !isLive(version, nowMs) && this.covers(partition, version)
  }

  vector(partition: number): WatermarkVector {
    return this.#vectors[partition] ?? noWatermark
  }

  /** Every report that was ever heard, and everything that a proof here stands on. */
  get table(): ReportTable {
    return this.#table
  }

  /** A table that some proof here names. */
  provenTable(name: ContentName): ReportTable | null {
    return this.#proofs.table(name)
  }

  vectorNamed(name: ContentName): WatermarkVector | null {
    return this.#byName.get(name) ?? null
  }

  learnReports(reports: ReportTable): void {
    const table = mergeTables(this.#table, this.#thatFit(reports))
    if (table === this.#table) return
    this.#table = table
    this.#options.onChange({ kind: 'table' })
    this.#concludeAlone()
  }

  /** An exchange of this node with `peer` is equal so far; what `peer` holds, and whether on disk, it says next. */
  prepareProof(partitions: readonly number[], peer: string, table: ReportTable): void {
    const pair = makePair(this.#options.selfId, peer)
    const changed = this.#prepared.note({ pair, table, partitions })
    if (changed.length === 0) return
    this.#options.onChange({ kind: 'prepared', pair, partitions: changed })
    for (const partition of changed) this.#catchUp(partition)
  }

  /** An exchange of this node with `peer` ended equal, and both sides' rows are on disk. */
  noteProof(partitions: readonly number[], peer: string, table: ReportTable): void {
    const { selfId } = this.#options
    if (peer !== selfId) this.#note({ pair: makePair(selfId, peer), table, partitions })
  }

  /** A peer passes on what other pairs have proven. Of itself a node trusts only its own disk. */
  hearProof(proof: PairProof): void {
    if (!includes(proof.pair, this.#options.selfId)) this.#note(proof)
  }

  /** What `peer` may want to hear about the pairs that it is not part of. */
  proofsFor(peer: string, partitions: readonly number[]): Iterable<PairProof> {
    return this.#proofs.all((pair) => !includes(pair, peer), partitions)
  }

  /**
   * After an exchange with a peer that ended equal up to the numbers of `table`: this node now holds all that the peer
   * holds, and may let go what the peer could. `vector` is what the peer named before the exchange.
   */
  join(partition: number, vector: WatermarkVector, table: ReportTable): void {
    const proven = meetWatermarks([vector, vectorAt(table, partition)])
    if (this.#raise(partition, proven)) {
      this.#options.onChange({ kind: 'watermarks', partitions: [partition] })
    }
    this.#catchUp(partition)
  }

  /** A peer names its watermark: where this node cannot answer for as much, it has lost something it once had. */
  hear(partition: number, vector: WatermarkVector): void {
    this.#intern(vector)
    if (!this.#isReplica(partition)) return
    const ahead = joinWatermarks(this.#ahead.get(partition) ?? noWatermark, vector)
    this.#ahead.set(partition, ahead)
    this.#catchUp(partition)
  }

  /**
   * Rows of the partition were found damaged, or gone. What this node lacks there proves nothing any more, so it answers
   * for nothing and takes what arrives, until it has been found equal with every other replica. Otherwise two nodes that
   * have lost the same row would agree that it was deleted, and take the third copy with them; one equal exchange is not
   * enough, since it may have been between those two. It lasts over a restart.
   */
  forget(partition: number): void {
    const { selfId, replicasOf, onChange } = this.#options
    const own = pairsOf(replicasOf(partition)).filter((pair) => includes(pair, selfId))
    // The only replica has nobody to be brought level by.
    if (own.length === 0) return
    const undamaged = this.#doubts.get(partition) ?? noWatermark
    this.#doubts.set(partition, joinWatermarks(undamaged, this.floor(partition)))
    onChange({ kind: 'doubts', partitions: [partition] })
    this.#timesForgotten.set(partition, this.timesForgotten(partition) + 1)
    for (const pair of own) {
      if (this.#proofs.drop(pair, partition))
        onChange({ kind: 'proofs', pair, partitions: [partition] })
      if (this.#prepared.drop(pair, partition))
        onChange({ kind: 'prepared', pair, partitions: [partition] })
    }
    if (this.vector(partition).size === 0) return
    this.#vectors[partition] = noWatermark
    onChange({ kind: 'watermarks', partitions: [partition] })
  }

  /** An exchange in which this number changes has compared what was not there. */
  timesForgotten(partition: number): number {
    return this.#timesForgotten.get(partition) ?? 0
  }

  /**
   * Whether peers have let go, or may have, what this node still holds: the data directory is new, or an old copy. Then
   * it answers no reads of the partition until it has exchanged. Damage is no reason for that: it takes nothing back, but
   * an old copy may be damaged too.
   */
  isBehind(partition: number): boolean {
    return this.#ahead.size > 0 && this.#ahead.has(partition) && !this.#isOnlyDamaged(partition)
  }

  /** How many partitions this node is behind in. */
  get partitionsBehind(): number {
    return this.#ahead.size
  }

  /**
   * All that this node can answer for: its watermark, and what its own exchanges have proven or were about to. A peer
   * that concludes first is no further than that, unless this node has forgotten.
   */
  floor(partition: number): WatermarkVector {
    const own = this.#pairs(partition).filter((pair) => includes(pair, this.#options.selfId))
    const tables = own.map((pair) =>
      mergeTables(this.#proofs.tableOf(pair, partition), this.#prepared.tableOf(pair, partition))
    )
    return joinWatermarks(this.vector(partition), provenByAll(tables, partition))
  }

  /** Pairs that keep the watermark below what has been reported. */
  holdup(partition: number): Holdup {
    const reported = vectorAt(this.#table, partition)
    const pairsWithoutProof: Pair[] = []
    const pairsNotUpToDate: Pair[] = []
    for (const pair of this.#pairs(partition)) {
      const table = this.#proofs.tableOf(pair, partition)
      if (table === emptyTable) pairsWithoutProof.push(pair)
      else if (!descendsWatermark(vectorAt(table, partition), reported)) pairsNotUpToDate.push(pair)
    }
    return { partition, pairsWithoutProof, pairsNotUpToDate }
  }

  /** Members that no report has been heard of: what they wrote can never be proven until there is one. */
  withoutReport(members: readonly string[]): string[] {
    const heard = new Set<string>()
    for (const { member } of this.#table.values()) heard.add(member)
    return members.filter((member) => !heard.has(member))
  }

  /** What was written down comes back, before anything else is asked. Nothing is concluded from it anew. */
  restore(stored: RestoredWatermarks): void {
    this.#table = stored.table
    for (const proof of stored.proofs) {
      this.#proofs.note(proof)
      this.#table = mergeTables(this.#table, proof.table)
    }
    for (const proof of stored.prepared) this.#prepared.note(proof)
    for (const [partition, vector] of stored.vectors)
      this.#vectors[partition] = this.#intern(vector)
    for (const [partition, vector] of stored.doubts) this.#doubts.set(partition, vector)
  }

  /** What this node could answer for, had nothing been damaged; null where nothing is in doubt. */
  doubt(partition: number): WatermarkVector | null {
    return this.#doubts.get(partition) ?? null
  }

  /** The replicas of partitions have changed. */
  ringChanged(): void {
    for (const partition of this.#ahead.keys()) {
      if (!this.#isReplica(partition)) this.#ahead.delete(partition)
      else this.#catchUp(partition)
    }
    this.#concludeAlone()
  }

  tableOf(pair: Pair, partition: number): ReportTable {
    return this.#proofs.tableOf(pair, partition)
  }

  preparedTableOf(pair: Pair, partition: number): ReportTable {
    return this.#prepared.tableOf(pair, partition)
  }

  /** A table of more incarnations could not be read by anybody. What is left out is proven to nobody, and so kept. */
  #thatFit(reports: ReportTable): ReportTable {
    let room = vectorEntriesMax - this.#table.size
    if (reports.size <= room) return reports
    return new Map([...reports].filter(([name]) => this.#table.has(name) || room-- > 0))
  }

  #note(proof: PairProof): void {
    const changed = this.#proofs.note(proof)
    if (changed.length === 0) return
    this.learnReports(proof.table)
    this.#options.onChange({ kind: 'proofs', pair: proof.pair, partitions: changed })
    this.#conclude(changed)
    for (const partition of changed) this.#catchUp(partition)
    this.#prune()
  }

  #conclude(partitions: readonly number[]): void {
    const risen = partitions.filter((partition) => {
      if (!this.#isReplica(partition)) return false
      const tables = this.#pairs(partition).map((pair) => this.#proofs.tableOf(pair, partition))
      return this.#raise(partition, provenByAll(tables, partition))
    })
    if (risen.length > 0) this.#options.onChange({ kind: 'watermarks', partitions: risen })
  }

  /** The only replica of a partition has nobody to prove anything with: what is reported lies in its rows. */
  #concludeAlone(): void {
    const { selfId, partitions, replicasOf } = this.#options
    const risen: number[] = []
    for (let partition = 0; partition < partitions; partition++) {
      const replicas = replicasOf(partition)
      if (replicas.length !== 1 || replicas[0] !== selfId) continue
      if (this.#raise(partition, vectorAt(this.#table, partition))) risen.push(partition)
    }
    if (risen.length > 0) this.#options.onChange({ kind: 'watermarks', partitions: risen })
  }

  #raise(partition: number, vector: WatermarkVector): boolean {
    if (this.#isDoubted(partition, vector)) return false
    const before = this.vector(partition)
    const after = joinWatermarks(before, vector)
    if (after === before) return false
    this.#vectors[partition] = this.#intern(descendsWatermark(vector, before) ? vector : after)
    return true
  }

  /** While it is, a conclusion only says what this node could answer for without the damage. */
  #isDoubted(partition: number, concluded: WatermarkVector): boolean {
    const doubt = this.#doubts.get(partition)
    if (doubt === undefined) return false
    const { selfId, onChange } = this.#options
    const isUnproven = (pair: Pair) =>
      includes(pair, selfId) && this.#proofs.tableOf(pair, partition) === emptyTable
    const lasts = this.#pairs(partition).some(isUnproven)
    const undamaged = joinWatermarks(doubt, concluded)
    if (lasts && undamaged === doubt) return true
    if (lasts) this.#doubts.set(partition, undamaged)
    else this.#doubts.delete(partition)
    onChange({ kind: 'doubts', partitions: [partition] })
    return lasts
  }

  #isOnlyDamaged(partition: number): boolean {
    const doubt = this.#doubts.get(partition)
    return doubt !== undefined && descendsWatermark(doubt, this.#ahead.get(partition) ?? doubt)
  }

  #catchUp(partition: number): void {
    const ahead = this.#ahead.get(partition)
    if (ahead === undefined) return
    const caughtUp =
      descendsWatermark(this.vector(partition), ahead) ||
      descendsWatermark(this.floor(partition), ahead)
    if (caughtUp) this.#ahead.delete(partition)
  }

  /** One object for equal vectors, so that partitions share them. */
  #intern(vector: WatermarkVector): WatermarkVector {
    if (vector.size === 0) return noWatermark
    const name = nameOfWatermark(vector)
    const known = this.#byName.get(name)
    // The ones named longest ago come first.
    this.#byName.delete(name)
    this.#byName.set(name, known ?? vector)
    return known ?? vector
  }

  #prune(): void {
    for (const proofs of [this.#proofs, this.#prepared])
      if (proofs.tableCount > contentsKeptMax) proofs.prune()
    // Peers name theirs again and again, and reads are held against them.
    const othersMax = contentsKeptMax + 2 * this.#options.partitions
    if (this.#byName.size <= othersMax) return
    const named = new Set([...this.#vectors, ...this.#ahead.values()])
    let tooMany = this.#byName.size - named.size - othersMax
    for (const [name, vector] of this.#byName) {
      if (tooMany <= 0) return
      if (named.has(vector)) continue
      this.#byName.delete(name)
      tooMany--
    }
  }

  #pairs(partition: number): Pair[] {
    return pairsOf(this.#options.replicasOf(partition))
  }

  #isReplica(partition: number): boolean {
    return this.#options.replicasOf(partition).includes(this.#options.selfId)
  }
}

/** What all of the pairs with these tables have proven. */
function provenByAll(tables: readonly ReportTable[], partition: number): WatermarkVector {
  const vectors = [...new Set(tables)].map((table) => vectorAt(table, partition))
  return meetWatermarks([...new Set(vectors)])
}

export interface RestoredWatermarks {
  readonly table: ReportTable
  readonly proofs: readonly PairProof[]
  readonly prepared: readonly PairProof[]
  readonly vectors: Iterable<readonly [partition: number, vector: WatermarkVector]>
  readonly doubts: Iterable<readonly [partition: number, vector: WatermarkVector]>
}

// Beyond it, what nothing here names any more is looked for and forgotten.
const contentsKeptMax = 64
