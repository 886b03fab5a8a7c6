import { ByteReader, ByteWriter } from '../../core/bytes.ts'
import { AnnealError } from '../../core/errors.ts'
import { smallMessageBytesMax } from '../../core/limits.ts'
import type { Channel } from '../../core/ports.ts'
import { decodeDetails } from '../../proto/failure-details.ts'
import type { Coordinated as CoordinatedFrame, CoordinateRequest } from '../../proto/frames.ts'
import { noBytes } from '../../proto/wire-format.ts'
import { isQuorumSpec } from '../../ring/bucket-record.ts'
import type { QuorumSpec } from '../../ring/cluster-document.ts'
import { partitionOf } from '../../ring/token.ts'
import type { Write } from '../../storage/coordinate.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import { decodeForeignObject } from '../../storage/object-codec.ts'
import type { Versions } from '../../storage/version.ts'
import { decodeVector, encodeVector, type VersionVector } from '../../storage/version-vector.ts'
import type { Outcome } from '../peer/peer-link.ts'
import {
  type CoordinatorContext,
  downAmong,
  quorumContext,
  replicasOf
} from './coordinator-context.ts'
import { anyReplica, resolveQuorum, shortfall } from './quorum.ts'
import { WriteOperation } from './write-operation.ts'

export interface WriteOptions {
  readonly w: QuorumSpec
  readonly timeoutMs: number
  /** Whether other nodes may stand in for replicas that cannot be reached. */
  readonly sloppy: boolean
  /** Whether the caller wants to see the merged object. */
  readonly returnObject: boolean
  /** The region that `local_quorum` speaks of, where that is not the one of this node. */
  readonly localRegion?: string
}

export interface WriteResult {
  /** What the writer has seen from now on. */
  readonly context: VersionVector
  readonly contextTimeMs: number
  readonly contentHash: Uint8Array
  /** The node that minted the version. */
  readonly coordinator: string
  readonly answered: number
  readonly asked: number
  /** How many of those that answered stood in for a replica. */
  readonly hinted: number
  /** The merged object with all values, where it was asked for. */
  readonly versions: Versions | null
}

/**
 * Coordinates writes. A replica coordinates; any other node passes the write on to the first replica that is up, once.
 * Where none is, the first node that is up coordinates in its place, unless only replicas count. A write that was passed
 * on is never passed on again, and never tried twice: it could be coordinated twice.
 */
export class WriteCoordinator {
  readonly #context: CoordinatorContext

  constructor(context: CoordinatorContext) {
    this.#context = context
  }

  /** Errors: `quorum_unavailable`, `timeout`, `too_many_siblings`, `overloaded`, `bad_parameter`, `disk_full`. */
  write(key: ObjectKey, write: Write, options: WriteOptions): Promise<WriteResult> {
    const { selfId, acceptsWrites } = this.#context
    const replicas = replicasOf(this.#context, key)
    if (replicas.includes(selfId) && acceptsWrites()) return this.coordinate(key, write, options)
    return this.#passOn(key, write, options, replicas)
  }

  /** Carries a write out on this node, which is a replica or, `asFallback`, stands in for one. Errors: as `write`. */
  coordinate(
    key: ObjectKey,
    write: Write,
    options: WriteOptions,
    asFallback = false
  ): Promise<WriteResult> {
    return new Promise((resolve, reject) => {
      new WriteOperation(this.#context, key, options, asFallback, resolve, reject).start(write)
    })
  }

  /** For a peer that could not coordinate itself. Errors: as `write`, and DecodeError. */
  coordinateFor(key: ObjectKey, request: CoordinateRequest): Promise<WriteResult> {
    const { selfId, acceptsWrites, hints } = this.#context
    const isReplica = replicasOf(this.#context, key).includes(selfId)
    const mayCoordinate = isReplica || (request.asFallback && hints !== null)
    if (!mayCoordinate || !acceptsWrites()) {
      throw new AnnealError('not_ready', `node ${selfId} cannot coordinate this write now`)
    }
    const reader = new ByteReader(request.context)
    const context = decodeVector(reader)
    reader.finish()
    const { contentType, meta, ttlMs, contextTimeMs, coversAllHeld, timeoutMs } = request
    const value = request.tombstone ? null : request.value
    const w = parseQuorum(request.writeQuorum)
    const write: Write = { value, contentType, meta, ttlMs, context, contextTimeMs, coversAllHeld }
    const { returnObject, localRegion } = request
    const own = { w, timeoutMs, sloppy: !request.strict, returnObject }
    const options = localRegion === '' ? own : { ...own, localRegion }
    return this.coordinate(key, write, options, !isReplica)
  }

  async #passOn(
    key: ObjectKey,
    write: Write,
    options: WriteOptions,
    replicas: readonly string[]
  ): Promise<WriteResult> {
    const request = toRequest(key, write, options, this.#context.region)
    const large = request.value.length > smallMessageBytesMax || options.returnObject
    const startedMs = this.#context.clock.monotonic()
    const tried = new Set<string>()
    let candidates = replicas
    for (;;) {
      const replica = this.#firstHealthy(candidates, options, tried)
      const target = replica ?? this.#fallback(key, options, tried)
      if (target === undefined) return this.#nobody(replicas, options)
      const asFallback = replica === undefined
      if (target === this.#context.selfId) return this.coordinate(key, write, options, asFallback)
      tried.add(target)
      const timeoutMs = options.timeoutMs - (this.#context.clock.monotonic() - startedMs)
      const body = asFallback ? { ...request, asFallback } : request
      const outcome = await this.#request(target, large ? 'bulk' : 'small', body, timeoutMs)
      if (outcome.kind === 'coordinated') return toResult(outcome, target, options)
      if (isRefusedUnseen(outcome)) continue
      if (outcome.kind === 'failure' && outcome.code === 'epoch') {
        // Refused before anything was done: the views are exchanged and the write is passed on by the new ring.
        await new Promise<void>((done) => this.#context.peers.exchangeDocuments(target, done))
        candidates = replicasOf(this.#context, key)
        if (candidates.includes(this.#context.selfId)) return this.coordinate(key, write, options)
        if (tried.size > epochRetriesMax) throw notCoordinated(target, options)
        tried.delete(target)
        continue
      }
      throw failureOf(target, outcome, options)
    }
  }

  /** By the ring; for a quorum of this region one that can be part of it, if there is any. */
  #firstHealthy(
    replicas: readonly string[],
    { w }: WriteOptions,
    tried: ReadonlySet<string>
  ): string | undefined {
    const { peers, cluster, region } = this.#context
    const healthy = replicas.filter((id) => !tried.has(id) && peers.acceptsWrites(id))
    if (w !== 'local_quorum') return healthy[0]
    return healthy.find((id) => cluster.member(id)?.region === region) ?? healthy[0]
  }

  /** The first node by the ring that is up, where no replica is; this one itself, perhaps. */
  #fallback(
    key: ObjectKey,
    { sloppy }: WriteOptions,
    tried: ReadonlySet<string>
  ): string | undefined {
    const { cluster, peers, hints, selfId, acceptsWrites } = this.#context
    const replicas = replicasOf(this.#context, key)
    if (!sloppy || hints === null || replicas.some((id) => peers.acceptsWrites(id)))
      return undefined
    const isHealthy = (id: string) => (id === selfId ? acceptsWrites() : peers.acceptsWrites(id))
    const walk = cluster.ring.walk(partitionOf(key.token, cluster.ring.partitions))
    return walk.find((id) => !replicas.includes(id) && !tried.has(id) && isHealthy(id))
  }

  #request(
    target: string,
    channel: Channel,
    body: CoordinateRequest,
    timeoutMs: number
  ): Promise<Outcome> {
    return new Promise((done) => {
      this.#context.peers.request(target, channel, body, timeoutMs, done)
    })
  }

  #nobody(replicas: readonly string[], { w }: WriteOptions): never {
    const { selfId, acceptsWrites } = this.#context
    if (replicas.includes(selfId) && !acceptsWrites()) {
      throw new AnnealError(
        'disk_full',
        `the disk of node ${selfId} is nearly full and no other replica of this key can be reached: free some space, or bring ${replicas.filter((id) => id !== selfId).join(', ')} back`
      )
    }
    const names =
      replicas.length === 0 ? 'the ring is still empty' : `${replicas.join(', ')} cannot be reached`
    const quorum = resolveQuorum(w, 'w', quorumContext(this.#context, replicas))
    throw new AnnealError(
      'quorum_unavailable',
      `no replica of this key can coordinate the write: ${names}`,
      { ...shortfall(quorum, nobody, anyReplica), down: downAmong(this.#context, replicas) }
    )
  }
}

const epochRetriesMax = 3
const nobody = () => false

/** Nothing was done: the next replica may be asked. */
function isRefusedUnseen(outcome: Outcome): boolean {
  if (outcome.kind === 'noResponse')
    return outcome.reason === 'unreachable' || outcome.reason === 'overloaded'
  return outcome.kind === 'failure' && outcome.code === 'not_ready'
}

function failureOf(target: string, outcome: Outcome, options: WriteOptions): AnnealError {
  if (outcome.kind === 'failure' && outcome.code !== 'epoch')
    return new AnnealError(outcome.code, outcome.message, decodeDetails(outcome.details))
  return notCoordinated(target, options)
}

function notCoordinated(target: string, { timeoutMs }: WriteOptions): AnnealError {
  return new AnnealError(
    'timeout',
    `node ${target}, which was to coordinate the write, did not answer within ${timeoutMs} ms: whether the write was stored is not known; read the key before you write it again`
  )
}

function toRequest(
  key: ObjectKey,
  write: Write,
  options: WriteOptions,
  region: string
): CoordinateRequest {
  const context = new ByteWriter()
  encodeVector(context, write.context)
  return {
    kind: 'coordinate',
    bucket: key.bucket,
    key: key.key,
    tombstone: write.value === null,
    value: write.value ?? noBytes,
    contentType: write.contentType,
    meta: write.meta,
    ttlMs: write.ttlMs,
    context: context.finish(),
    contextTimeMs: write.contextTimeMs,
    coversAllHeld: write.coversAllHeld,
    writeQuorum: String(options.w),
    timeoutMs: Math.ceil(options.timeoutMs),
    returnObject: options.returnObject,
    strict: !options.sloppy,
    asFallback: false,
    localRegion: options.w === 'local_quorum' ? region : ''
  }
}

function toResult(
  frame: CoordinatedFrame,
  coordinator: string,
  options: WriteOptions
): WriteResult {
  const reader = new ByteReader(frame.context)
  const context = decodeVector(reader)
  const { contextTimeMs, contentHash, answered, asked, hinted } = frame
  const versions = options.returnObject ? decodeForeignObject(frame.object) : null
  return { context, contextTimeMs, contentHash, coordinator, answered, asked, hinted, versions }
}

function parseQuorum(text: string): QuorumSpec {
  const spec = /^\d+$/.test(text) ? Number(text) : text
  if (!isQuorumSpec(spec)) throw new AnnealError('bad_parameter', `"${text}" is no quorum`)
  return spec
}
