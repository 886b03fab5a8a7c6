/** Metadata that travels with a value. */
export interface ValueInfo {
  readonly contentType: string
  /** The `X-Meta-*` headers, names in lower case and without the prefix. */
  readonly meta: ReadonlyMap<string, string>
  readonly etag: string
  /** As the server writes it, an HTTP date; empty when it says none. */
  readonly lastModified: string
}

export interface Sibling extends ValueInfo {
  readonly value: Uint8Array
}

/**
 * What a key holds. `context` names everything that this answer shows; give it to the write that is to replace it.
 * Siblings are writes that had not seen each other: write once with the context to settle them.
 */
export type GetResult =
  | ({ readonly kind: 'value'; readonly value: Uint8Array; readonly context: string } & ValueInfo)
  | { readonly kind: 'siblings'; readonly siblings: readonly Sibling[]; readonly context: string }
  | MissingResult

/** As GetResult, without the values. */
export type HeadResult =
  | ({ readonly kind: 'value'; readonly context: string } & ValueInfo)
  | { readonly kind: 'siblings'; readonly context: string }
  | MissingResult

/** There is no value; a key that was deleted has a context all the same. */
export interface MissingResult {
  readonly kind: 'missing'
  readonly deleted: boolean
  readonly context: string | null
}

export interface WriteResult {
  readonly context: string | null
  readonly etag: string | null
}

/** A number of replicas, or a name for one. */
export type Quorum = number | 'one' | 'quorum' | 'all' | 'local_quorum' | 'each_quorum'

export interface CallOptions {
  /** False: only the replicas of the key count, nobody stands in. */
  readonly sloppy?: boolean | undefined
  /** How long the server may take, in milliseconds. */
  readonly timeoutMs?: number | undefined
}

export interface ReadOptions extends CallOptions {
  readonly r?: Quorum | undefined
  /** Answer at least what this context has seen, or 503 `stale`. */
  readonly context?: string | undefined
}

export interface DeleteOptions extends CallOptions {
  readonly w?: Quorum | undefined
  /** What the writer had read; without one a put is blind and makes a sibling. */
  readonly context?: string | undefined
}

export interface PutOptions extends DeleteOptions {
  readonly contentType?: string | undefined
  readonly meta?: ReadonlyMap<string, string> | undefined
  readonly ttlSeconds?: number | undefined
}

export type BatchOperation =
  | { readonly op: 'get'; readonly bucket: string; readonly key: string }
  | {
      readonly op: 'put'
      readonly bucket: string
      readonly key: string
      readonly value: Uint8Array
      readonly context?: string | null | undefined
    }
  | {
      readonly op: 'delete'
      readonly bucket: string
      readonly key: string
      readonly context?: string | null | undefined
    }

/** The outcome of one operation, in the order asked; the server's own fields beside its status. */
export interface BatchResult {
  readonly status: number
  readonly [field: string]: unknown
}

export interface ListOptions {
  readonly prefix?: string | undefined
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
}

export interface ListResult {
  readonly keys: readonly string[]
  /** Ask again with this for more; null at the end. */
  readonly cursor: string | null
}

export interface MemberStatus {
  readonly id: string
  readonly http: string
  readonly peer: string
  readonly zone: string
  readonly region: string
  readonly state: string
  /** The opinion of the node that was asked. */
  readonly up: boolean
}

export interface ClusterStatus {
  readonly node: {
    readonly id: string
    readonly version: string
    readonly state: string
    readonly uptimeSeconds: number
  }
  readonly cluster: {
    readonly name: string
    readonly epoch: string
    readonly members: readonly MemberStatus[]
  }
  readonly hints?: Readonly<Record<string, unknown>>
  readonly repair?: Readonly<Record<string, unknown>>
}

export interface RingStatus {
  readonly epoch: string
  readonly partitions: readonly {
    readonly id: number
    /** Node ids, the owner first. */
    readonly replicas: readonly string[]
    readonly pending: readonly string[]
  }[]
}

export interface ReplicaVersion {
  readonly etag: string
  readonly tombstone: boolean
  readonly lastModified: string
  readonly bytes: number
}

export interface KeyStatus {
  readonly partition: number
  readonly leaf: number
  readonly replicas: readonly {
    readonly node: string
    readonly state: string
    readonly digest?: string | null
    readonly versions?: readonly ReplicaVersion[]
  }[]
}
