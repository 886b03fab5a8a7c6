import { equalBytes } from '../../core/bytes.ts'
import { leavesPerNode, treeFanOut } from '../../core/limits.ts'
import { partitionOf } from '../../ring/token.ts'
import { decodeForeignObject } from '../../storage/object-codec.ts'
import { perform, type Script } from './calls.ts'
import { childDigests, childrenIn, differingChildren } from './child-digests.ts'
import { offersAbout } from './fact-offers.ts'
import { HiddenRows } from './hidden-rows.ts'
import { bytesToSend, compareEntries, type ReportedRow, reportedRow } from './leaf-comparison.ts'
import { comparedRows, keyDigestOf, startOf } from './leaf-content.ts'
import {
  type Envelope,
  type LeafReply,
  type LeavesPart,
  type NodeAnswer,
  type OpenAnswer,
  type OpenPartition,
  type PartitionRef,
  type PresentRoot,
  type Question,
  type Reply,
  rootBytes,
  type Want
} from './messages.ts'
import type { PartitionLocks } from './partition-locks.ts'
import { PeerFacts } from './peer-facts.ts'
import type {
  FactName,
  PartitionSnapshot,
  RangeSide,
  RowOutcome,
  ShippedRow,
  WantedRow
} from './range-side.ts'
import { ReportedRows } from './reported-rows.ts'
import { rowBytes, totalRowBytes } from './wire-parts.ts'

export interface ResponderOptions {
  readonly id: Uint8Array
  readonly peer: string
  readonly side: RangeSide
  readonly locks: PartitionLocks
  readonly youngMs: number
}

/** A partition that takes part: whose snapshots are spoken of, and whether its roots were found equal. */
interface Part {
  readonly snapshot: PartitionSnapshot
  readonly theirs: number
}

type Answer<Kind extends Reply['kind']> = Script<Extract<Reply, { kind: Kind }>>
type Asked<Kind extends Question['kind']> = Extract<Question, { kind: Kind }>

const pullBytesMax = 512 * 1024
const wantsBytesMax = 256 * 1024

/**
 * The side that was asked to compare, as far as one session goes: each question has one answer, and whatever must be
 * done for it is a script. It knows nothing of requests, repetitions and time: see ReconcileResponder.
 */
export class ResponderSession {
  readonly options: ResponderOptions
  readonly #parts = new Map<number, Part>()
  readonly #reported = new ReportedRows()
  readonly #hidden = new HiddenRows()
  readonly #facts: PeerFacts
  #nowMs = 0
  /** Partitions that were proven together with the peer, and are not told of yet. */
  readonly proven: number[] = []
  rowsReceived = 0
  rowsSent = 0
  bytesReceived = 0
  bytesSent = 0

  constructor(options: ResponderOptions) {
    this.options = options
    this.#facts = new PeerFacts(options.side, options.peer)
  }

  /** Everything has been proven, or given up: nothing is left to be locked. */
  get isOver(): boolean {
    return this.#parts.size === 0
  }

  /** Answers one question. Errors: what a call failed with; the session is as it was. */
  *answer(question: Question, { facts, wanted }: Envelope): Script<{ reply: Reply } & Envelope> {
    if (question.kind === 'open') this.#facts.offered(question.offers)
    this.#facts.learn(facts)
    const reply = yield* this.#dispatch(question)
    const lacking = question.kind === 'open' ? this.#facts.lacking() : []
    return { reply, facts: this.#facts.collect(wanted), wanted: lacking }
  }

  *#dispatch(question: Question): Script<Reply> {
    switch (question.kind) {
      case 'open':
        return yield* this.#open(question)
      case 'verify':
        return yield* this.#verify(question)
      case 'descend':
        return yield* this.#descend(question)
      case 'leaves':
        return yield* this.#compare(question)
      case 'exchange':
        return yield* this.#exchange(question)
      case 'pull':
        return yield* this.#pull(question)
      case 'close':
        return yield* this.#close(question)
      case 'keep':
        return { kind: 'kept' }
      case 'bye':
        this.#release([...this.#parts.keys()])
        return { kind: 'kept' }
    }
  }

  *#open({ nowMs, partitions }: Asked<'open'>): Answer<'opened'> {
    const { side, locks, peer } = this.options
    const named = partitions.map(({ partition }) => partition)
    const free = locks.take(named, this)
    // Whatever was spoken of before is void.
    for (const partition of named) this.#parts.delete(partition)
    const ownMs = yield* perform({ kind: 'now' })
    this.#nowMs = Math.max(ownMs, nowMs)
    const offers = side.offers(free, peer)
    const snapshots = yield* perform({ kind: 'snapshots', partitions: free })
    const byPartition = new Map(free.map((partition, i) => [partition, snapshots[i] ?? null]))
    const answers: OpenAnswer[] = []
    for (const asked of partitions) {
      const answer = this.#compareRoots(asked, byPartition)
      answers.push(answer)
      if (answer.status === 'differs') yield* perform({ kind: 'turn' })
    }
    const opened = free.filter((partition) => this.#parts.has(partition))
    const about = offersAbout(offers, opened)
    return { kind: 'opened', nowMs: ownMs, offers: about, partitions: answers }
  }

  #compareRoots(
    { partition, snapshot: theirs, root, isEmpty }: OpenPartition,
    snapshots: ReadonlyMap<number, PartitionSnapshot | null>
  ): OpenAnswer {
    const snapshot = snapshots.get(partition)
    if (snapshot === undefined) return { status: 'busy', ...nothingThere }
    if (snapshot === null) {
      this.#release([partition])
      return { status: 'notReady', ...nothingThere }
    }
    this.#parts.set(partition, { snapshot, theirs })
    const { id, keys } = snapshot
    const answer = { ...nothingThere, snapshot: id }
    if (keys === 0) return { ...answer, status: isEmpty ? 'equal' : 'empty' }
    if (isEmpty) return { ...answer, status: 'full', keys }
    if (equalBytes(snapshot.root.subarray(0, rootBytes), root))
      return { ...answer, status: 'equal' }
    return { ...answer, status: 'differs', children: childDigests(snapshot, 0, 0, treeFanOut) }
  }

  *#verify({ partitions }: Asked<'verify'>): Answer<'verified'> {
    const { partitionCount } = this.options.side
    const existing = partitions.filter((partition) => partition < partitionCount)
    yield* perform({ kind: 'verify', partitions: existing })
    return { kind: 'verified' }
  }

  *#descend({ parts }: Asked<'descend'>): Answer<'descended'> {
    const answers: (readonly NodeAnswer[] | null)[] = []
    for (const part of parts) {
      yield* perform({ kind: 'turn' })
      const known = this.#partOf(part)
      if (known === null) answers.push(null)
      else {
        const { snapshot } = known
        answers.push(part.nodes.map(({ index, children }) => below(snapshot, index, children)))
      }
    }
    return { kind: 'descended', parts: answers }
  }

  *#compare({ parts, width }: Asked<'leaves'>): Answer<'compared'> {
    const known = parts.filter((part) => this.#partOf(part) !== null)
    const wanted = known.map(({ partition, leaves }) => ({
      partition,
      leaves: leaves.map(({ leaf }) => leaf)
    }))
    const listings = yield* perform({ kind: 'list', wanted })
    const nowMs = yield* perform({ kind: 'now' })
    const { side, id: session, youngMs } = this.options
    let at = 0
    const compare = (part: LeavesPart): readonly LeafReply[] | null => {
      if (!known.includes(part)) return null
      const { partition } = part
      const absence = { watermark: this.#facts.watermarkOf(partition), nowMs: this.#nowMs }
      return part.leaves.map(({ leaf, entries }) => {
        const listing = listings[at++] ?? { partition, leaf, entries: [] }
        const rules = { side, session, absence, nowMs, youngMs }
        const { reply, reported, hidden } = compareEntries(listing, entries, width, rules)
        this.#reported.note(partition, leaf, reported)
        this.#hidden.note(hidden)
        return reply
      })
    }
    const replies: (readonly LeafReply[] | null)[] = []
    for (const part of parts) {
      yield* perform({ kind: 'turn' })
      replies.push(compare(part))
    }
    return { kind: 'compared', parts: replies }
  }

  *#exchange({ rows, parts, wantsRoots }: Asked<'exchange'>): Answer<'exchanged'> {
    const isOurs = (row: ShippedRow) => this.#parts.has(this.#partitionOf(row))
    const arriving = rows.filter(isOurs)
    const judged = arriving.length === 0 ? [] : yield* perform({ kind: 'receive', rows: arriving })
    let at = 0
    const refused: RowOutcome = { kind: 'refused', reason: 'its partition is not being compared' }
    const outcomes = rows.map((row) => (isOurs(row) ? (judged[at++] ?? refused) : refused))
    for (const row of arriving) this.bytesReceived += rowBytes(row)
    this.rowsReceived += arriving.length
    const isStale = parts.some((part) => this.#partOf(part) === null)
    if (isStale)
      return { kind: 'exchanged', outcomes, answered: 0, stale: true, rows: [], roots: [] }
    const buriers = yield* this.#buriersOf(arriving.filter((_, i) => judged[i]?.kind === 'taken'))
    const { answered, found } = yield* this.#fetch(parts)
    const spokenOf = [
      ...arriving.map((row) => this.#partitionOf(row)),
      ...parts.map(({ partition }) => partition)
    ]
    const roots = wantsRoots ? yield* this.#presentRoots(spokenOf) : []
    const sent = [...buriers, ...found]
    return { kind: 'exchanged', outcomes, answered, stale: false, rows: sent, roots }
  }

  *#presentRoots(spokenOf: readonly number[]): Script<PresentRoot[]> {
    const partitions = [...new Set(spokenOf)].sort((a, b) => a - b)
    const snapshots = yield* perform({ kind: 'snapshots', partitions })
    return partitions.flatMap((partition, i) => {
      const root = snapshots[i]?.root
      return root === undefined ? [] : [{ partition, root }]
    })
  }

  #partitionOf({ key }: Pick<ShippedRow, 'key'>): number {
    return partitionOf(key.token, this.options.side.partitionCount)
  }

  /** Rows that arrived may have been overwritten here by what counts as absent: then the peer has to hear of that. */
  *#buriersOf(arrived: readonly ShippedRow[]): Script<ShippedRow[]> {
    const wanted: WantedRow[] = []
    for (const { key, object } of arrived) {
      if (!this.#hidden.has(key.id)) continue
      const mode = this.options.side.modeOf(key)
      const dots = this.#hidden.buriers(key.id, decodeForeignObject(object), mode)
      if (dots.length > 0) wanted.push({ key, dots })
    }
    if (wanted.length === 0) return []
    const rows = (yield* perform({ kind: 'read', wanted })).filter((row) => row !== null)
    yield* this.#countSent(rows)
    return rows
  }

  /** Reads what is wanted in its order, as much as fits one message; a single row may be larger. */
  *#fetch(
    parts: readonly (PartitionRef & { readonly wants: readonly Want[] })[]
  ): Script<{ readonly answered: number; readonly found: ShippedRow[] }> {
    const found: ShippedRow[] = []
    let answered = 0
    let bytes = 0
    for (const { partition, wants } of parts) {
      for (let from = 0; from < wants.length; ) {
        if (bytes >= wantsBytesMax) return { answered, found }
        if (!(yield* perform({ kind: 'budget', bytes: 0 }))) return { answered, found }
        const some = wants.slice(from, from + wantsAtOnce)
        const { count, wanted } = yield* this.#resolve(partition, some, wantsBytesMax - bytes)
        const rows = yield* perform({ kind: 'read', wanted })
        const read = rows.filter((row) => row !== null)
        found.push(...read)
        bytes += yield* this.#countSent(read)
        from += count
        answered += count
      }
    }
    return { answered, found }
  }

  /**
   * Wants name rows by digests; a row that was reported too long ago to be remembered is looked up in its leaf again.
   * Answers with as many of the wants as there is room for, and at least one.
   */
  *#resolve(
    partition: number,
    wants: readonly Want[],
    room: number
  ): Script<{ readonly count: number; readonly wanted: WantedRow[] }> {
    const wanted: WantedRow[] = []
    let left = room
    for (const [count, { leaf, digestStart, dots }] of wants.entries()) {
      const known = this.#reported.of(partition, leaf) ?? (yield* this.#tellAgain(partition, leaf))
      const named = known.filter(({ keyDigest }) => startOf(keyDigest) === digestStart)
      for (const row of named) left -= bytesToSend(row, dots ?? row.dots)
      if (left < 0 && count > 0) return { count, wanted }
      for (const row of named) wanted.push({ key: row.key, dots: dots ?? row.dots })
    }
    return { count: wants.length, wanted }
  }

  *#tellAgain(partition: number, leaf: number): Script<readonly ReportedRow[]> {
    const [listing] = yield* perform({ kind: 'list', wanted: [{ partition, leaves: [leaf] }] })
    if (listing === undefined) return []
    const absence = { watermark: this.#facts.watermarkOf(partition), nowMs: this.#nowMs }
    const rows = comparedRows(this.options.side, listing, absence)
    return rows.map((row) => reportedRow(row, keyDigestOf(this.options.id, row.key)))
  }

  *#pull({ part }: Asked<'pull'>): Answer<'pulled'> {
    const { partition, leafFrom, leafTo, from } = part
    if (this.#partOf(part) === null) return { ...nothingPulled, stale: true }
    const bytesMax = Math.min(part.bytesMax, pullBytesMax)
    if (!(yield* perform({ kind: 'budget', bytes: 0 }))) {
      return { ...nothingPulled, wait: true }
    }
    const absence = { watermark: this.#facts.watermarkOf(partition), nowMs: this.#nowMs }
    const request = { partition, leafFrom, leafTo, from, bytesMax, absence }
    const { rows, next } = yield* perform({ kind: 'slice', request })
    yield* this.#countSent(rows)
    return { ...nothingPulled, rows, next }
  }

  /** Answers with their bytes. */
  *#countSent(rows: readonly ShippedRow[]): Script<number> {
    const bytes = totalRowBytes(rows)
    this.rowsSent += rows.length
    this.bytesSent += bytes
    yield* perform({ kind: 'charge', bytes })
    return bytes
  }

  /** The peer's rows are on disk when it asks; ours are before we answer, and then both may note what is proven. */
  *#close({ table, equal, finished, setAside }: Asked<'close'>): Answer<'closed'> {
    const rows = setAside.filter((row) => this.#parts.has(this.#partitionOf(row)))
    if (rows.length > 0) yield* perform({ kind: 'setAside', rows })
    const isKnown = this.options.side.knows({ kind: 'table', name: table, partitions: [] })
    const holds = equal.map((partition) => isKnown && this.#parts.has(partition))
    const proven = equal.filter((_, i) => holds[i])
    const { peer } = this.options
    if (proven.length > 0) {
      yield* perform({ kind: 'prepareProof', note: { peer, partitions: proven, table } })
    }
    yield* perform({ kind: 'sync' })
    if (proven.length > 0) yield* this.#note(table, proven)
    this.#release([...proven, ...finished])
    return { kind: 'closed', proven: holds }
  }

  *#note(table: FactName, partitions: readonly number[]): Script<void> {
    const { watermarks } = this.#facts
    const { peer } = this.options
    yield* perform({ kind: 'noteProof', note: { peer, partitions, table, watermarks } })
    this.proven.push(...partitions)
  }

  #release(partitions: readonly number[]): void {
    for (const partition of partitions) this.#parts.delete(partition)
    this.options.locks.release(partitions, this)
  }

  #partOf({ partition, snapshot, peerSnapshot }: PartitionRef): Part | null {
    const part = this.#parts.get(partition)
    const isSame = part?.theirs === snapshot && part.snapshot.id === peerSnapshot
    return isSame && part !== undefined ? part : null
  }
}

/** Rows that are read between two looks at how many bytes there are. */
const wantsAtOnce = 64

const nothingPulled = {
  kind: 'pulled',
  stale: false,
  wait: false,
  rows: [],
  next: null
} as const
const nothingThere = { snapshot: 0, keys: 0, children: Buffer.alloc(0) }

/** What differs below a node of level 1, and the digests of the leaves there. */
function below(snapshot: PartitionSnapshot, index: number, theirs: Uint8Array): NodeAnswer {
  const mask = differingChildren(childDigests(snapshot, 1, index, treeFanOut), theirs, treeFanOut)
  const leaves = childrenIn(mask, treeFanOut).map((child) =>
    childDigests(snapshot, 2, index * treeFanOut + child, leavesPerNode)
  )
  return { mask, leaves: Buffer.concat(leaves) }
}
