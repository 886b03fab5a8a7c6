import { equalBytes } from '../core/bytes.ts'
import { AnnealError, DecodeError } from '../core/errors.ts'
import { sliceRowsMax } from '../core/limits.ts'
import type { ListedKey, ListKeysRequest } from '../proto/frames.ts'
import { noBytes } from '../proto/wire-format.ts'
import type { QuorumSpec } from '../ring/cluster-document.ts'
import { partitionRange, type RowRange } from '../storage/keys.ts'
import type { Store, WalkedRow } from '../storage/store.ts'
import { isLive } from '../storage/version.ts'
import {
  type CoordinatorContext,
  keyOf,
  quorumContext,
  quorumUnavailable
} from './coordinator/coordinator-context.ts'
import { neededBy, resolveQuorum } from './coordinator/quorum.ts'
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
  readonly timeoutMs: number
}

type KeyRange = Omit<ListKeysRequest, 'kind'>

interface Slice {
  readonly keys: readonly ListedKey[]
  readonly next: Buffer | null
}

const slicesPerRequestMax = 64

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

  /** Errors: `bad_parameter`; `quorum_unavailable` for a partition that too few replicas answer for. */
  async page(request: WalkRequest): Promise<KeyPage> {
    const keys: string[] = []
    const { partitions } = this.#context.cluster.ring
    checkCursor(request.cursor, partitions)
    let cursor: Cursor | null = request.cursor
    while (cursor !== null && cursor.partition < partitions && keys.length < request.limit) {
      const slice: Slice = await this.#slice(request, cursor, request.limit - keys.length)
      for (const listed of slice.keys) keys.push(Buffer.from(listed.key).toString())
      cursor =
        slice.next === null
          ? { partition: cursor.partition + 1, from: noBytes }
          : { partition: cursor.partition, from: slice.next }
    }
    const done = cursor === null || cursor.partition >= partitions
    return { keys, next: done ? null : cursor }
  }

  /** This node's part, for a peer: rows of the bucket in row order, tombstones included. */
  async local(request: KeyRange): Promise<Slice> {
    const range = this.#rangeOf(request)
    const nowMs = this.#context.clock.now()
    const keys: ListedKey[] = []
    let from: Buffer | null = range.from
    for (let slices = 0; from !== null && slices < slicesPerRequestMax; slices++) {
      const slice = await this.#store.walk({ from, to: range.to }, sliceRowsMax)
      for (const walked of slice.rows) {
        if (!isListed(walked, request)) continue
        if (keys.length >= request.limit) return { keys, next: walked.key.row }
        keys.push(toListed(walked, nowMs))
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
  async #slice(request: WalkRequest, cursor: Cursor, limit: number): Promise<Slice> {
    const { ring } = this.#context.cluster
    const replicas = ring.replicas(cursor.partition)
    const quorum = resolveQuorum(request.r, 'r', quorumContext(this.#context, replicas))
    const needed = neededBy(quorum)
    const { bucket, prefix, timeoutMs } = request
    const ask = { bucket, prefix, partition: cursor.partition, from: cursor.from, limit }
    const slices = await this.#fromQuorum(replicas, needed, ask, timeoutMs)
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
    for (const [, listed] of rows) {
      const first = listed[0]
      if (first === undefined) continue
      // Each replica has kept to the limit; what they hold together may be more.
      if (live.length >= limit) return { keys: live, next: Buffer.from(first.row) }
      if (await this.#isLive(request, listed, slices.length)) live.push(first)
    }
    return { keys: live, next: end }
  }

  /** Where the replicas agree, what they say; where they do not, what a read finds. */
  async #isLive(
    request: WalkRequest,
    listed: readonly ListedKey[],
    answers: number
  ): Promise<boolean> {
    const [first] = listed
    if (first === undefined) return false
    const agreed =
      listed.length === answers &&
      listed.every(({ objectHash }) => equalBytes(objectHash, first.objectHash))
    if (agreed) return first.live
    const { r, timeoutMs } = request
    const options = { r, timeoutMs, sloppy: this.#context.hints !== null, atLeast: null }
    const { versions } = await this.#reads.read(keyOf(request.bucket, first.key), options)
    const nowMs = this.#context.clock.now()
    return versions.some((version) => isLive(version, nowMs))
  }

  async #fromQuorum(
    replicas: readonly string[],
    needed: number,
    ask: KeyRange,
    timeoutMs: number
  ): Promise<Slice[]> {
    const { selfId, peers } = this.#context
    const slices: Slice[] = []
    const candidates = [...replicas].sort((a, b) => Number(b === selfId) - Number(a === selfId))
    const usable = candidates.filter((id) => id === selfId || peers.isUp(id))
    while (slices.length < needed && usable.length >= needed - slices.length) {
      const batch = usable.splice(0, needed - slices.length)
      const answers = await Promise.all(batch.map((id) => this.#from(id, ask, timeoutMs)))
      for (const answer of answers) if (answer !== null) slices.push(answer)
    }
    if (slices.length >= needed) return slices
    const numbers = { needed, answered: slices.length, asked: replicas.length }
    throw quorumUnavailable(this.#context, 'read', replicas, numbers)
  }

  /** Null where the replica does not answer. One that goes by another ring is asked again after the views met. */
  async #from(id: string, ask: KeyRange, timeoutMs: number, retries = 1): Promise<Slice | null> {
    const { selfId, peers } = this.#context
    if (id === selfId) return this.local(ask)
    const outcome = await new Promise<Outcome>((done) => {
      peers.request(id, 'bulk', { kind: 'listKeys', ...ask }, timeoutMs, done)
    })
    if (outcome.kind === 'keysListed') {
      const next = outcome.next.length === 0 ? null : Buffer.from(outcome.next)
      return { keys: outcome.keys, next }
    }
    if (outcome.kind !== 'failure' || outcome.code !== 'epoch' || retries === 0) return null
    await new Promise<void>((done) => peers.exchangeDocuments(id, done))
    return this.#from(id, ask, timeoutMs, retries - 1)
  }
}

function isListed({ key }: WalkedRow, { bucket, prefix }: KeyRange): boolean {
  return (
    equalBytes(key.bucket, bucket) &&
    key.key.length >= prefix.length &&
    equalBytes(key.key.subarray(0, prefix.length), prefix)
  )
}

// A damaged row has no hash, so that the replicas are seen to disagree and the key is read.
function toListed({ key, row }: WalkedRow, nowMs: number): ListedKey {
  const live = row?.versions.some((version) => isLive(version, nowMs)) ?? false
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
