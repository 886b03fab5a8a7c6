import type { ErrorCode } from '../core/errors.ts'
import type { ClusterDocument } from '../ring/cluster-document.ts'
import type { Meta } from '../storage/version.ts'

/** Requests and responses of the peer link as values; the schema beside them says what each field means. */
export type Request =
  | Ping
  | ReadRequest
  | ReplicateRequest
  | CoordinateRequest
  | InspectRequest
  | ListKeysRequest
  | GossipRequest

export type Response =
  | Pong
  | ReadReply
  | Acknowledged
  | Coordinated
  | Inspected
  | KeysListed
  | Gossiped
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
}

export interface ReplicateRequest {
  readonly kind: 'replicate'
  readonly bucket: Uint8Array
  readonly key: Uint8Array
  readonly object: Uint8Array
}

export interface Acknowledged {
  readonly kind: 'acknowledged'
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
}

export interface Coordinated {
  readonly kind: 'coordinated'
  readonly context: Uint8Array
  readonly contextTimeMs: number
  readonly contentHash: Uint8Array
  readonly answered: number
  readonly asked: number
  readonly object: Uint8Array
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

export interface Failure {
  readonly kind: 'failure'
  readonly code: ErrorCode | 'epoch'
  readonly message: string
}
