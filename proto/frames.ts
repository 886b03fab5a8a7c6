import type { ErrorCode } from '../core/errors.ts'
import type { ClusterDocument } from '../ring/cluster-document.ts'
import type { Meta } from '../storage/version.ts'

/** Requests and responses of the peer link as values; the schema beside them says what each field means. */
export type Request =
  | Ping
  | ReadRequest
  | ReplicateRequest
  | ReconcileRequest
  | StoreHintRequest
  | CoordinateRequest
  | InspectRequest
  | ListKeysRequest
  | GossipRequest
  | ConsultRequest
  | ReportRequest
  | SurveyRequest

export type Response =
  | Pong
  | ReadReply
  | Acknowledged
  | Coordinated
  | Inspected
  | KeysListed
  | Gossiped
  | Reconciled
  | Consulted
  | Reported
  | Surveyed
  | Failure

export interface Frame<Body extends Request | Response = Request | Response> {
  readonly id: number
  /** The epoch of the sender's ring. */
  readonly epoch: string
  readonly body: Body
}

export interface Ping {
  readonly kind: 'ping'
  readonly documentDigest: string
  readonly acceptsWrites: boolean
}

export interface Pong {
  readonly kind: 'pong'
  readonly documentDigest: string
  readonly acceptsWrites: boolean
}

export interface ReadRequest {
  readonly kind: 'read'
  readonly bucket: Uint8Array
  readonly key: Uint8Array
  /** Empty where the asking side holds nothing. */
  readonly objectHash: Uint8Array
  /** Asks not a replica but a stand-in, for what it keeps of the key for others. */
  readonly standIn: boolean
}

export interface ReadReply {
  readonly kind: 'readReply'
  readonly same: boolean
  /** Empty where the replica holds nothing. */
  readonly object: Uint8Array
  /** The object is too large for the small channel; it is to be asked for again over the bulk channel. */
  readonly useBulk: boolean
  /** The replica holds something that it cannot read any more, and needs a copy. */
  readonly damaged: boolean
  /** Name of the replica's watermark of the partition; empty where it has none, and where `same`. */
  readonly watermark: Uint8Array
}

export interface ReplicateRequest {
  readonly kind: 'replicate'
  readonly bucket: Uint8Array
  readonly key: Uint8Array
  readonly object: Uint8Array
  /** To be acknowledged only once it outlives a power failure, since the sender is about to forget it. */
  readonly synced: boolean
}

export interface StoreHintRequest {
  readonly kind: 'storeHint'
  readonly bucket: Uint8Array
  readonly key: Uint8Array
  readonly object: Uint8Array
  readonly target: string
}

export interface Acknowledged {
  readonly kind: 'acknowledged'
  /** Dots, as `encodeDots` writes them, of versions that were put into quarantine instead. */
  readonly quarantined: Uint8Array
}

export interface CoordinateRequest {
  readonly kind: 'coordinate'
  readonly bucket: Uint8Array
  readonly key: Uint8Array
  readonly tombstone: boolean
  readonly value: Uint8Array
  readonly contentType: string
  readonly meta: Meta
  readonly ttlMs: number
  readonly context: Uint8Array
  readonly contextTimeMs: number
  readonly coversAllHeld: boolean
  readonly writeQuorum: string
  readonly timeoutMs: number
  readonly returnObject: boolean
  /** Only replicas count, nobody stands in for them. */
  readonly strict: boolean
  /** No replica can be reached: the receiver coordinates in place of one. */
  readonly asFallback: boolean
  /** The region that `local_quorum` speaks of: that of the sender. Empty where it does not matter. */
  readonly localRegion: string
}

export interface Coordinated {
  readonly kind: 'coordinated'
  readonly context: Uint8Array
  readonly contextTimeMs: number
  readonly contentHash: Uint8Array
  readonly answered: number
  readonly asked: number
  readonly object: Uint8Array
  /** How many of those that answered stood in for a replica. */
  readonly hinted: number
}

export interface InspectRequest {
  readonly kind: 'inspect'
  readonly bucket: Uint8Array
  readonly key: Uint8Array
}

export interface Inspected {
  readonly kind: 'inspected'
  readonly state: string
  readonly object: Uint8Array
}

export interface ListKeysRequest {
  readonly kind: 'listKeys'
  readonly bucket: Uint8Array
  readonly prefix: Uint8Array
  readonly partition: number
  readonly from: Uint8Array
  readonly limit: number
}

export interface ListedKey {
  readonly key: Uint8Array
  readonly objectHash: Uint8Array
  readonly live: boolean
  readonly row: Uint8Array
}

export interface KeysListed {
  readonly kind: 'keysListed'
  readonly keys: readonly ListedKey[]
  readonly next: Uint8Array
}

export interface GossipRequest {
  readonly kind: 'gossip'
  /** Null: only asks. */
  readonly document: ClusterDocument | null
}

export interface Gossiped {
  readonly kind: 'gossiped'
  readonly document: ClusterDocument
}

export interface ConsultRequest {
  readonly kind: 'consult'
  readonly bucket: Uint8Array
  readonly key: Uint8Array
  readonly dots: Uint8Array
}

export interface Consulted {
  readonly kind: 'consulted'
  /** One byte for each dot. */
  readonly opinions: Uint8Array
  /** What the replica can answer for in the partition. */
  readonly watermark: Uint8Array
}

export interface ReportRequest {
  readonly kind: 'report'
  readonly live: Uint8Array
  readonly settledName: Uint8Array
  readonly settled: Uint8Array
  readonly watermarks: Uint8Array
  readonly wanted: Uint8Array
  readonly about: Uint8Array
}

export interface Reported {
  readonly kind: 'reported'
  readonly live: Uint8Array
  readonly settledName: Uint8Array
  readonly settled: Uint8Array
  readonly watermarks: Uint8Array
  readonly content: Uint8Array
  readonly hinted: Uint8Array
}

/** How is the member, and whom does it see? For people who look at the cluster. */
export interface SurveyRequest {
  readonly kind: 'survey'
}

export interface Surveyed {
  readonly kind: 'surveyed'
  readonly release: string
  readonly state: string
  readonly uptimeSeconds: number
  readonly epoch: string
  /** The members that it knows, itself not among them. */
  readonly up: readonly string[]
  readonly down: readonly string[]
  readonly hints: number
  readonly quarantined: number
  /** Why background repair begins nothing; empty where nothing is in the way. */
  readonly repairHeld: string
}

export interface ReconcileRequest {
  readonly kind: 'reconcile'
  /** 8 random bytes. */
  readonly session: Uint8Array
  /** 0: nothing is remembered of it. */
  readonly number: number
  readonly payload: Uint8Array
}

export interface Reconciled {
  readonly kind: 'reconciled'
  readonly payload: Uint8Array
}

export interface Failure {
  readonly kind: 'failure'
  readonly code: ErrorCode | 'epoch'
  readonly message: string
  /** As `encodeDetails` writes them; empty for none. */
  readonly details: string
}
