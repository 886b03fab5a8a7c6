import { ByteWriter, equalBytes } from '../core/bytes.ts'
import { AnnealError, DecodeError } from '../core/errors.ts'
import { smallMessageBytesMax } from '../core/limits.ts'
import type { Log } from '../core/ports.ts'
import type {
  CoordinateRequest,
  GossipRequest,
  InspectRequest,
  ListKeysRequest,
  ReadRequest,
  ReplicateRequest,
  Request,
  Response
} from '../proto/frames.ts'
import { noBytes } from '../proto/wire-format.ts'
import { encodeObject } from '../storage/object-codec.ts'
import { DamagedRowError } from '../storage/store.ts'
import { encodeVector } from '../storage/version-vector.ts'
import type { ClusterState } from './cluster-state.ts'
import { keyOf } from './coordinator/coordinator-context.ts'
import type { WriteCoordinator } from './coordinator/write-coordinator.ts'
import type { KeyWalk } from './key-walk.ts'
import type { LocalReplica } from './local-replica.ts'
import type { NodeMetrics } from './node-metrics.ts'
import type { RequestOrigin } from './peer/peer-acceptor.ts'

export interface PeerServiceOptions {
  readonly cluster: ClusterState
  readonly local: LocalReplica
  readonly writes: WriteCoordinator
  readonly walk: KeyWalk
  readonly metrics: NodeMetrics
  readonly log: Log
  /** Why this node takes no writes at the moment; null where it does. */
  readonly writesRefused: () => AnnealError | null
}

type Respond = (response: Response) => void

/** Carries out what peers ask of this node as a replica. */
export class PeerService {
  readonly #options: PeerServiceOptions

  constructor(options: PeerServiceOptions) {
    this.#options = options
  }

  readonly handle = (request: Request, origin: RequestOrigin, respond: Respond): void => {
    try {
      this.#dispatch(request, origin, respond)
    } catch (thrown) {
      respond(this.#failure(request, origin, thrown))
    }
  }

  #dispatch(request: Request, origin: RequestOrigin, respond: Respond): void {
    const { cluster } = this.#options
    if (request.kind === 'ping') {
      const acceptsWrites = this.#options.writesRefused() === null
      return respond({ kind: 'pong', documentDigest: cluster.digest, acceptsWrites })
    }
    if (request.kind === 'gossip') {
      return this.#gossip(request, origin, respond)
    }
    // Whoever goes by another ring may take other nodes for the replicas of a key: a write that {A, B} acknowledged
    // would be read from {C, D}.
    if (origin.epoch !== cluster.ring.epoch) {
      this.#options.metrics.epochMismatches.inc()
      const message = `node ${origin.nodeId} goes by ring ${origin.epoch}, this node by ${cluster.ring.epoch}`
      return respond({ kind: 'failure', code: 'epoch', message })
    }
    switch (request.kind) {
      case 'read':
        return respond(this.#read(request, origin))
      case 'replicate':
        return this.#replicate(request, origin, respond)
      case 'coordinate':
        return this.#coordinate(request, origin, respond)
      case 'inspect':
        return respond(this.#inspect(request))
      case 'listKeys':
        return this.#listKeys(request, origin, respond)
    }
  }

  /** Answers once what was learned is on disk. */
  #gossip(request: GossipRequest, origin: RequestOrigin, respond: Respond): void {
    const { cluster } = this.#options
    const answer = () => respond({ kind: 'gossiped', document: cluster.document })
    if (request.document === null || !cluster.merge(request.document)) return answer()
    cluster.persisted.then(answer, (error: unknown) =>
      respond(this.#failure(request, origin, error))
    )
  }

  #read({ bucket, key, objectHash }: ReadRequest, { channel }: RequestOrigin): Response {
    const { local } = this.#options
    const reply = {
      kind: 'readReply',
      same: false,
      object: noBytes,
      useBulk: false,
      damaged: false
    } as const
    const objectKey = keyOf(bucket, key)
    try {
      const row = local.row(objectKey)
      if (row === null) return reply
      if (equalBytes(row.objectHash, objectHash)) return { ...reply, same: true }
      const object = local.wholeObject(objectKey, row)
      const useBulk = channel === 'small' && object.length > smallMessageBytesMax
      return useBulk ? { ...reply, useBulk } : { ...reply, object }
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return { ...reply, damaged: true }
      throw thrown
    }
  }

  #replicate(request: ReplicateRequest, origin: RequestOrigin, respond: Respond): void {
    this.#checkWritable()
    const { bucket, key, object } = request
    this.#options.local.receiveBytes(keyOf(bucket, key), object).then(
      () => respond({ kind: 'acknowledged' }),
      (error: unknown) => respond(this.#failure(request, origin, error))
    )
  }

  #coordinate(request: CoordinateRequest, origin: RequestOrigin, respond: Respond): void {
    const key = keyOf(request.bucket, request.key)
    this.#options.writes.coordinateFor(key, request).then(
      ({ context, contextTimeMs, contentHash, answered, asked, versions }) => {
        const writer = new ByteWriter()
        encodeVector(writer, context)
        const object = versions === null ? noBytes : encodeObject(versions, 'whole')
        const encoded = writer.finish()
        respond({
          kind: 'coordinated',
          context: encoded,
          contextTimeMs,
          contentHash,
          answered,
          asked,
          object
        })
      },
      (error: unknown) => respond(this.#failure(request, origin, error))
    )
  }

  #inspect({ bucket, key }: InspectRequest): Response {
    try {
      const row = this.#options.local.row(keyOf(bucket, key))
      if (row === null) return { kind: 'inspected', state: 'missing', object: noBytes }
      return { kind: 'inspected', state: 'ok', object: row.objectBytes }
    } catch (thrown) {
      if (!(thrown instanceof DamagedRowError)) throw thrown
      return { kind: 'inspected', state: 'damaged', object: noBytes }
    }
  }

  #listKeys(request: ListKeysRequest, origin: RequestOrigin, respond: Respond): void {
    this.#options.walk.local(request).then(
      ({ keys, next }) => respond({ kind: 'keysListed', keys, next: next ?? noBytes }),
      (error: unknown) => respond(this.#failure(request, origin, error))
    )
  }

  #checkWritable(): void {
    const refused = this.#options.writesRefused()
    if (refused !== null) throw refused
  }

  #failure(request: Request, origin: RequestOrigin, thrown: unknown): Response {
    if (thrown instanceof DecodeError) {
      this.#options.log.error(
        { peer: origin.nodeId, request: request.kind, reason: thrown.message },
        'a peer sent what cannot be read'
      )
      return { kind: 'failure', code: 'bad_request', message: thrown.message }
    }
    const error = AnnealError.from(thrown)
    if (error.code === 'internal') {
      this.#options.log.error(
        { peer: origin.nodeId, request: request.kind, reason: error.message },
        'a request of a peer failed'
      )
    }
    return { kind: 'failure', code: error.code, message: error.message }
  }
}
