import { equalBytes } from '../core/bytes.ts'
import { AnnealError, DecodeError } from '../core/errors.ts'
import { sliceRowsMax } from '../core/limits.ts'
import type { ListedKey, ListKeysRequest } from '../proto/frames.ts'
import { noBytes } from '../proto/wire-format.ts'
import type { QuorumSpec } from '../ring/cluster-document.ts'
import { partitionRange, type RowRange } from '../storage/keys.ts'
import type { Store, WalkedRow } from '../storage/store.ts'
import { type ConflictMode, isLive, merge } from '../storage/version.ts'
import {
  type CoordinatorContext,
  keyOf,
  notInTime,
  quorumContext,
  quorumUnavailable
} from './coordinator/coordinator-context.ts'
import {
  anyReplica,
  canBeMet,
  type Quorum,
  type QuorumGroup,
  resolveQuorum,
  shortfall
} from './coordinator/quorum.ts'
import type { ReadCoordinator } from './coordinator/read-coordinator.ts'
import type { Outcome } from './peer/peer-link.ts'

export interface KeyPage {
  readonly keys: readonly string[]
  /** Where the next page begins; null at the end. */
  readonly next: Cursor | null
}

/** A place in the walk: a partition, and the row to begin at within it. */
export interface Cursor {
  readonly partition: number
  readonly from: Buffer
}

export interface WalkRequest {
  readonly bucket: Uint8Array
  readonly prefix: Uint8Array
  readonly limit: number
  readonly cursor: Cursor
  /** The replicas of each partition that must take part. */
  readonly r: QuorumSpec
  /** For the whole page. */
  readonly timeoutMs: number
}

type KeyRange = Omit<ListKeysRequest, 'kind'>

interface Slice {
  readonly keys: readonly ListedKey[]
  readonly next: Buffer | null
}

/** One page being put together. */
interface Walk extends WalkRequest {
  readonly startedMs: number
}

/** What the replicas of one group of a quorum had to say. */
interface GroupAnswers {
  readonly slices: readonly Slice[]
  /** Whether one that was asked had no time to answer. */
  readonly timedOut: boolean
}

const slicesPerRequestMax = 64
/** The part of its time after which a page begins nothing new, so that what it has begun can end. */
const walkShare = 0.5

/**
 * Lists the keys of a bucket by walking every partition on a read quorum of its replicas. Keys of all buckets lie
 * mixed in the order of their tokens, so this costs a look at every key of the cluster.
 */
export class KeyWalk {
  readonly #context: CoordinatorContext
  readonly #store: Store
  readonly #reads: ReadCoordinator

  constructor(context: CoordinatorContext, store: Store, reads: ReadCoordinator) {
    this.#context = context
    this.#store = store
    this.#reads = reads
  }

  /**
   * A page that takes long ends before its limit, with a cursor; it always gets further than the one before.
   *
   * Errors: `bad_parameter`; `quorum_unavailable` for a partition whose replicas are too few, `timeout` where they do not
   * answer in time.
   */
  async page(request: WalkRequest): Promise<KeyPage> {
    const walk: Walk = { ...request, startedMs: this.#context.clock.monotonic() }
    const keys: string[] = []
    const { partitions } = this.#context.cluster.ring
    checkCursor(request.cursor, partitions)
    let cursor: Cursor | null = request.cursor
    do {
      const slice: Slice = await this.#slice(walk, cursor, request.limit - keys.length)
      for (const listed of slice.keys) keys.push(Buffer.from(listed.key).toString())
      cursor = cursorAfter(cursor, slice.next, partitions)
    } while (cursor !== null && keys.length < request.limit && !this.#isLate(walk))
    return { keys, next: cursor }
  }

  readonly #isUp = (id: string): boolean =>
    id === this.#context.selfId || this.#context.peers.isUp(id)

  #leftMs({ startedMs, timeoutMs }: Walk): number {
    return Math.max(0, startedMs + timeoutMs - this.#context.clock.monotonic())
  }

  #isLate(walk: Walk): boolean {
    return this.#leftMs(walk) < walk.timeoutMs * walkShare
  }

  /**
   * This node's part, for itself or the peer `asking`: rows of the bucket in row order, tombstones included. Null where
   * it must answer no reads of the partition.
   */
  async local(request: KeyRange, asking: string | null): Promise<Slice | null> {
    const range = this.#rangeOf(request)
    const { local, clock } = this.#context
    if (!(await local.answersFor(request.partition, asking))) return null
    const nowMs = clock.now()
    const keys: ListedKey[] = []
    let from: Buffer | null = range.from
    for (let slices = 0; from !== null && slices < slicesPerRequestMax; slices++) {
      const slice = await this.#store.walk({ from, to: range.to }, sliceRowsMax)
      for (const walked of slice.rows) {
        if (!isListed(walked, request)) continue
        if (keys.length >= request.limit) return { keys, next: walked.key.row }
        keys.push(toListed(walked, local.mode(walked.key), nowMs))
      }
      from = slice.next
    }
    return { keys, next: from }
  }

  #rangeOf({ partition, from }: KeyRange): RowRange {
    const { partitions } = this.#context.cluster.ring
    if (partition >= partitions) throw new DecodeError(`partition ${partition} of ${partitions}`)
    const range = partitionRange(partition, partitions)
    return from.length === 0 ? range : { from: Buffer.from(from), to: range.to }
  }

  /** One step of the walk on a quorum. Each replica looks through a stretch; only what all have passed is final. */
  async #slice(walk: Walk, cursor: Cursor, limit: number): Promise<Slice> {
    const { ring } = this.#context.cluster
    const replicas = ring.replicas(cursor.partition)
    const quorum = resolveQuorum(walk.r, 'r', quorumContext(this.#context, replicas))
    const { bucket, prefix } = walk
    const ask = { bucket, prefix, partition: cursor.partition, from: cursor.from, limit }
    const slices = await this.#fromQuorum(quorum, ask, walk)
    const ends = slices.flatMap(({ next }) => (next === null ? [] : [next]))
    const end = ends.length === 0 ? null : ends.reduce((a, b) => (Buffer.compare(a, b) < 0 ? a : b))
    const passed = (listed: ListedKey) => end === null || Buffer.compare(listed.row, end) < 0
    const byRow = new Map<string, ListedKey[]>()
    for (const { keys } of slices) {
      for (const listed of keys) {
        if (!passed(listed)) continue
        const id = Buffer.from(listed.row).toString('latin1')
        byRow.set(id, [...(byRow.get(id) ?? []), listed])
      }
    }
    const rows = [...byRow].sort(([a], [b]) => (a < b ? -1 : 1))
    const live: ListedKey[] = []
    let reads = 0
    for (const [, listed] of rows) {
      const first = listed[0]
      if (first === undefined) continue
      const isAgreed = agree(listed, slices.length)
      const mustEnd = !isAgreed && reads > 0 && this.#isLate(walk)
      // Each replica has kept to the limit; what they hold together may be more.
      if (live.length >= limit || mustEnd) return { keys: live, next: Buffer.from(first.row) }
      if (!isAgreed) reads++
      if (isAgreed ? first.live : await this.#isFound(walk, first.key)) live.push(first)
    }
    return { keys: live, next: end }
  }

  /** What a read says of a key that the replicas do not agree on. */
  async #isFound(walk: Walk, key: Uint8Array): Promise<boolean> {
    const options = {
      r: walk.r,
      timeoutMs: this.#leftMs(walk),
      sloppy: this.#context.hints !== null,
      atLeast: null
    }
    const { versions } = await this.#reads.read(keyOf(walk.bucket, key), options)
    const nowMs = this.#context.clock.now()
    return versions.some((version) => isLive(version, nowMs))
  }

  async #fromQuorum(quorum: Quorum, ask: KeyRange, walk: Walk): Promise<Slice[]> {
    const replicas = quorum.flatMap((each) => each.replicas)
    if (!canBeMet(quorum, this.#isUp)) {
      const numbers = shortfall(quorum, this.#isUp, anyReplica)
      throw quorumUnavailable(this.#context, 'read', replicas, numbers)
    }
    const groups = await Promise.all(quorum.map((group) => this.#fromGroup(group, ask, walk)))
    const slices = groups.flatMap((group) => group.slices)
    const missed = quorum.findIndex(({ needed }, i) => (groups[i]?.slices.length ?? 0) < needed)
    const group = quorum[missed]
    if (group === undefined) return slices
    const numbers = {
      needed: group.needed,
      answered: groups[missed]?.slices.length ?? 0,
      asked: group.replicas.length
    }
    if (groups.some(({ timedOut }) => timedOut)) throw notInTime('listing', numbers, walk.timeoutMs)
    throw quorumUnavailable(this.#context, 'read', replicas, numbers)
  }

  /** While others are left that could answer in place of a replica, it has half of the time. */
  async #fromGroup(group: QuorumGroup, ask: KeyRange, walk: Walk): Promise<GroupAnswers> {
    const { selfId } = this.#context
    const { needed } = group
    const slices: Slice[] = []
    let timedOut = false
    const candidates = [...group.replicas].sort(
      (a, b) => Number(b === selfId) - Number(a === selfId)
    )
    const usable = candidates.filter(this.#isUp)
    while (slices.length < needed && usable.length >= needed - slices.length) {
      const batch = usable.splice(0, needed - slices.length)
      const leftMs = usable.length > 0 ? this.#leftMs(walk) / 2 : this.#leftMs(walk)
      const deadlineMs = this.#context.clock.monotonic() + leftMs
      const answers = await Promise.all(batch.map((id) => this.#from(id, ask, deadlineMs)))
      for (const answer of answers) {
        if (answer === 'timeout') timedOut = true
        else if (answer !== null) slices.push(answer)
      }
    }
    return { slices, timedOut }
  }

  /** Null where the replica does not answer. One that goes by another ring is asked again after the views met. */
  async #from(
    id: string,
    ask: KeyRange,
    deadlineMs: number,
    retries = 1
  ): Promise<Slice | 'timeout' | null> {
    const { selfId, peers, clock } = this.#context
    if (id === selfId) return this.local(ask, null)
    const timeoutMs = Math.max(0, deadlineMs - clock.monotonic())
    const outcome = await new Promise<Outcome>((done) => {
      peers.request(id, 'bulk', { kind: 'listKeys', ...ask }, timeoutMs, done)
    })
    if (outcome.kind === 'keysListed') {
      const next = outcome.next.length === 0 ? null : Buffer.from(outcome.next)
      return { keys: outcome.keys, next }
    }
    if (outcome.kind === 'noResponse' && outcome.reason === 'timeout') return 'timeout'
    if (outcome.kind !== 'failure' || outcome.code !== 'epoch' || retries === 0) return null
    await new Promise<void>((done) => peers.exchangeDocuments(id, done))
    return this.#from(id, ask, deadlineMs, retries - 1)
  }
}

/** Where the walk goes on after a step that ended at `next`; null at the end. */
function cursorAfter(
  { partition }: Cursor,
  next: Buffer | null,
  partitions: number
): Cursor | null {
  if (next !== null) return { partition, from: next }
  return partition + 1 < partitions ? { partition: partition + 1, from: noBytes } : null
}

/** Whether all that answered hold the same for a key. */
function agree(listed: readonly ListedKey[], answers: number): boolean {
  const [first] = listed
  return (
    first !== undefined &&
    listed.length === answers &&
    listed.every(({ objectHash }) => equalBytes(objectHash, first.objectHash))
  )
}

function isListed({ key }: WalkedRow, { bucket, prefix }: KeyRange): boolean {
  return (
    equalBytes(key.bucket, bucket) &&
    key.key.length >= prefix.length &&
    equalBytes(key.key.subarray(0, prefix.length), prefix)
  )
}

// A damaged row has no hash, so that the replicas are seen to disagree and the key is read. The others are looked at as
// a read would show them: one may have been written before its bucket came to keep only the latest write.
function toListed({ key, row }: WalkedRow, mode: ConflictMode, nowMs: number): ListedKey {
  const shown = merge(row?.versions ?? [], [], mode)
  const live = shown.some((version) => isLive(version, nowMs))
  return { key: key.key, objectHash: row?.objectHash ?? noBytes, live, row: key.row }
}

/** Cursors travel as opaque base64url. Errors: `bad_parameter` for one that was not given out. */
export function encodeCursor({ partition, from }: Cursor): string {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(partition)
  return Buffer.concat([head, from]).toString('base64url')
}

export function decodeCursor(text: string): Cursor {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.length < 4 || bytes.toString('base64url') !== text) throw notACursor()
  return { partition: bytes.readUInt32BE(), from: bytes.subarray(4) }
}

/** A cursor comes back from outside: it may lead to rows of its partition and nowhere else. */
function checkCursor({ partition, from }: Cursor, partitions: number): void {
  if (partition >= partitions) throw notACursor()
  const range = partitionRange(partition, partitions)
  const isInside = Buffer.compare(from, range.from) >= 0 && Buffer.compare(from, range.to) < 0
  if (from.length > 0 && !isInside) throw notACursor()
}

function notACursor(): AnnealError {
  return new AnnealError(
    'bad_parameter',
    'cursor is not one that a listing gave out: leave it out to begin anew',
    { parameter: 'cursor' }
  )
}
