import { ByteWriter, equalBytes } from '../core/bytes.ts'
import { AnnealError, DecodeError } from '../core/errors.ts'
import { smallMessageBytesMax } from '../core/limits.ts'
import type { Log } from '../core/ports.ts'
import { encodeDetails } from '../proto/failure-details.ts'
import type {
  ConsultRequest,
  CoordinateRequest,
  GossipRequest,
  InspectRequest,
  ListKeysRequest,
  ReadRequest,
  ReplicateRequest,
  Request,
  Response,
  StoreHintRequest,
  Surveyed
} from '../proto/frames.ts'
import { noBytes } from '../proto/wire-format.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { decodeForeignObject, encodeObject } from '../storage/object-codec.ts'
import { DamagedRowError } from '../storage/store.ts'
import { encodeVector } from '../storage/version-vector.ts'
import type { ArrivalService } from './arrival-service.ts'
import type { ClusterState } from './cluster-state.ts'
import { keyOf } from './coordinator/coordinator-context.ts'
import type { WriteCoordinator } from './coordinator/write-coordinator.ts'
import type { KeyWalk } from './key-walk.ts'
import type { LocalHints } from './local-hints.ts'
import type { LocalReplica } from './local-replica.ts'
import type { NodeMetrics } from './node-metrics.ts'
import type { RequestOrigin } from './peer/peer-acceptor.ts'
import type { AnsweredExchanges } from './repair/answered-exchanges.ts'
import type { ForegroundLatency } from './repair/foreground-latency.ts'

export interface PeerServiceOptions {
  readonly cluster: ClusterState
  readonly local: LocalReplica
  readonly arrivals: ArrivalService
  readonly exchanges: Pick<AnsweredExchanges, 'handle'>
  /** Null where hinted handoff is turned off. */
  readonly hints: LocalHints | null
  readonly writes: WriteCoordinator
  readonly walk: KeyWalk
  readonly metrics: NodeMetrics
  readonly foreground: Pick<ForegroundLatency, 'served'>
  readonly log: Log
  /** Why this node takes no writes at the moment; null where it does. */
  readonly writesRefused: () => AnnealError | null
  /** What this node says of itself to those who look at the cluster. */
  readonly survey: () => Surveyed
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
    const { cluster, foreground } = this.#options
    if (request.kind === 'ping') {
      const acceptsWrites = this.#options.writesRefused() === null
      return respond({ kind: 'pong', documentDigest: cluster.digest, acceptsWrites })
    }
    if (request.kind === 'gossip') {
      return this.#gossip(request, origin, respond)
    }
    // Those who look at the cluster want to know of other rings too.
    if (request.kind === 'survey') return respond(this.#options.survey())
    // Whoever goes by another ring may take other nodes for the replicas of a key: a write that {A, B} acknowledged
    // would be read from {C, D}.
    if (origin.epoch !== cluster.ring.epoch) {
      this.#options.metrics.epochMismatches.inc()
      const message = `node ${origin.nodeId} goes by ring ${origin.epoch}, this node by ${cluster.ring.epoch}`
      return respond({ kind: 'failure', code: 'epoch', message, details: '' })
    }
    switch (request.kind) {
      case 'read':
        foreground.served()
        if (request.standIn) return respond(this.#standIn(request, origin))
        return this.#readWhenHeard(request, origin, respond)
      case 'replicate':
        foreground.served()
        return this.#replicate(request, origin, respond)
      case 'storeHint':
        return this.#storeHint(request, origin, respond)
      case 'coordinate':
        return this.#coordinate(request, origin, respond)
      case 'consult':
        return this.#consult(request, origin, respond)
      case 'report':
        return respond(this.#options.arrivals.report(request, origin.nodeId))
      case 'reconcile':
        return this.#options.exchanges.handle(request, origin.nodeId, respond)
      case 'inspect':
        return respond(this.#inspect(request))
      case 'listKeys':
        return this.#listKeys(request, origin, respond)
    }
  }

  #consult(request: ConsultRequest, origin: RequestOrigin, respond: Respond): void {
    const { arrivals } = this.#options
    arrivals
      .consult(request)
      .then(respond, (error: unknown) => respond(this.#failure(request, origin, error)))
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

  #readWhenHeard(request: ReadRequest, origin: RequestOrigin, respond: Respond): void {
    const objectKey = keyOf(request.bucket, request.key)
    const heard = this.#options.local.hearing(objectKey, origin.nodeId)
    if (heard === null) return respond(this.#read(request, objectKey, origin))
    heard
      .then(() => respond(this.#read(request, objectKey, origin)))
      .catch((error: unknown) => respond(this.#failure(request, origin, error)))
  }

  #read(
    { objectHash }: ReadRequest,
    objectKey: ObjectKey,
    { channel, nodeId }: RequestOrigin
  ): Response {
    const { local } = this.#options
    const reply = {
      kind: 'readReply',
      same: false,
      object: noBytes,
      useBulk: false,
      damaged: false,
      watermark: noBytes
    } as const
    if (local.isBehind(objectKey, nodeId)) throw isBehind()
    try {
      const row = local.row(objectKey)
      if (row === null) return { ...reply, watermark: local.watermarkName(objectKey) }
      if (equalBytes(row.objectHash, objectHash)) return { ...reply, same: true }
      const object = local.wholeObject(objectKey, row)
      const useBulk = channel === 'small' && object.length > smallMessageBytesMax
      const watermark = local.watermarkName(objectKey)
      return useBulk ? { ...reply, useBulk } : { ...reply, object, watermark }
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return { ...reply, damaged: true }
      throw thrown
    }
  }

  /** What waits here for the replicas that cannot be reached; nothing is an answer too. */
  #standIn({ bucket, key, objectHash }: ReadRequest, { channel }: RequestOrigin): Response {
    const { hints } = this.#options
    if (hints === null) throw this.#standsInForNobody()
    const held = hints.read(keyOf(bucket, key))
    const isSame = held.versions.length > 0 && equalBytes(held.objectHash, objectHash)
    const isSent = held.versions.length > 0 && !isSame
    const object = isSent ? encodeObject(held.versions, 'whole') : noBytes
    const useBulk = channel === 'small' && object.length > smallMessageBytesMax
    return {
      kind: 'readReply',
      same: isSame,
      object: useBulk ? noBytes : object,
      useBulk,
      damaged: false,
      watermark: noBytes
    }
  }

  #storeHint(request: StoreHintRequest, origin: RequestOrigin, respond: Respond): void {
    this.#checkWritable()
    const { hints } = this.#options
    if (hints === null) throw this.#standsInForNobody()
    const { bucket, key, object, target } = request
    if (this.#options.cluster.member(target) === undefined) {
      throw new DecodeError(`a hint for ${target}, which is no member of this cluster`)
    }
    const versions = decodeForeignObject(object)
    if (versions.length === 0) throw new DecodeError('a hint without versions')
    hints.store(target, keyOf(bucket, key), versions).then(
      () => respond({ kind: 'acknowledged', quarantined: noBytes }),
      (error: unknown) => respond(this.#failure(request, origin, error))
    )
  }

  #standsInForNobody(): AnnealError {
    return new AnnealError('not_ready', 'this node stands in for nobody: hints.enabled is false')
  }

  #replicate(request: ReplicateRequest, origin: RequestOrigin, respond: Respond): void {
    this.#checkWritable()
    this.#options.arrivals
      .replicate(request, origin.nodeId)
      .then(respond, (error: unknown) => respond(this.#failure(request, origin, error)))
  }

  #coordinate(request: CoordinateRequest, origin: RequestOrigin, respond: Respond): void {
    const key = keyOf(request.bucket, request.key)
    this.#options.writes.coordinateFor(key, request).then(
      ({ context, contextTimeMs, contentHash, answered, asked, hinted, versions }) => {
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
          object,
          hinted
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
    const list = async (): Promise<Response> => {
      const slice = await this.#options.walk.local(request, origin.nodeId)
      if (slice === null) throw isBehind()
      return { kind: 'keysListed', keys: slice.keys, next: slice.next ?? noBytes }
    }
    list().then(respond, (error: unknown) => respond(this.#failure(request, origin, error)))
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
      return { kind: 'failure', code: 'bad_request', message: thrown.message, details: '' }
    }
    const error = AnnealError.from(thrown)
    if (error.code === 'internal') {
      this.#options.log.error(
        { peer: origin.nodeId, request: request.kind, reason: error.message },
        'a request of a peer failed'
      )
    }
    const { code, message } = error
    return { kind: 'failure', code, message, details: encodeDetails(error.details) }
  }
}

function isBehind(): AnnealError {
  return new AnnealError(
    'not_ready',
    'the data of this node is older than what its peers have proven: it answers reads of the partition again after an exchange'
  )
}
