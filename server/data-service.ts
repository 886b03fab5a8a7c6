import { toHex } from '../core/bytes.ts'
import { AnnealError } from '../core/errors.ts'
import { hash64 } from '../core/hash.ts'
import { contentTypeBytesMax } from '../core/limits.ts'
import type { Clock } from '../core/ports.ts'
import type { ClusterKeys } from '../core/secrets.ts'
import type { QuorumSpec } from '../ring/cluster-document.ts'
import type { Write } from '../storage/coordinate.ts'
import type { ObjectKey } from '../storage/keys.ts'
import {
  contextOf,
  isLive,
  latestTimeOf,
  type Meta,
  type Version,
  type Versions
} from '../storage/version.ts'
import { emptyVector } from '../storage/version-vector.ts'
import type { ClusterState } from './cluster-state.ts'
import { type CausalContext, decodeContext, encodeContext } from './context-token.ts'
import { keyOf } from './coordinator/coordinator-context.ts'
import type { ReadCoordinator } from './coordinator/read-coordinator.ts'
import type { WriteCoordinator } from './coordinator/write-coordinator.ts'

export interface DataLimits {
  readonly maxKeyBytes: number
  readonly maxValueBytes: number
}

export interface DataServiceOptions {
  readonly cluster: ClusterState
  readonly reads: ReadCoordinator
  readonly writes: WriteCoordinator
  readonly keys: ClusterKeys
  readonly clock: Clock
  readonly limits: DataLimits
  readonly defaults: {
    readonly r: QuorumSpec
    readonly w: QuorumSpec
    readonly sloppy: boolean
    readonly timeoutMs: number
  }
}

/** What may come with any data request. */
export interface RequestOptions {
  readonly r?: QuorumSpec | undefined
  readonly w?: QuorumSpec | undefined
  readonly timeoutMs?: number | undefined
  /** Whether other nodes may stand in for replicas that cannot be reached. */
  readonly sloppy?: boolean | undefined
  /** A Causal-Context token; absent where the client has seen nothing. */
  readonly context?: string | undefined
}

export interface WriteRequest extends RequestOptions {
  /**
   * Shown what a read quorum holds before the write, throws where the write is not to be made. Best effort: between
   * this look and the write, others may write. Both together have the time of one request.
   */
  readonly precondition?: ((view: KeyView) => void) | undefined
}

export interface PutRequest extends WriteRequest {
  readonly value: Uint8Array
  readonly contentType: string
  readonly meta: Meta
  readonly ttlSeconds?: number | undefined
  readonly returnObject?: boolean | undefined
}

/** A key as a client sees it. */
export interface KeyView {
  /** `deleted`: nothing is left but the memory of a delete or of an expiry. */
  readonly state: 'found' | 'deleted' | 'none'
  /** The values; several where writes had not seen each other. */
  readonly siblings: Versions
  /** Null for `none`: there is nothing to have seen. */
  readonly context: string | null
  readonly etag: string
  readonly answered: number
  readonly asked: number
  /** How many of those that answered stood in for a replica. */
  readonly hinted: number
}

export interface WriteReceipt {
  readonly context: string
  readonly etag: string
  /** The node that coordinated the write: this one, or a replica that it was passed on to. */
  readonly coordinator: string
  readonly answered: number
  readonly asked: number
  /** How many of those that answered stood in for a replica. */
  readonly hinted: number
  /** The key as it is after the write, where it was asked for. */
  readonly view: KeyView | null
}

/**
 * Get, put and delete as applications know them: checks limits, opens and seals contexts, fills in the defaults of the
 * bucket, and turns versions into values.
 */
export class DataService {
  readonly #options: DataServiceOptions

  constructor(options: DataServiceOptions) {
    this.#options = options
  }

  /** Errors: `bad_key`, `bad_context`, and those of the read coordinator. */
  async get(bucket: string, key: string, request: RequestOptions): Promise<KeyView> {
    const objectKey = this.#checkedKey(bucket, key)
    return this.#read(bucket, objectKey, request, this.#openContext(objectKey, request))
  }

  /** Errors: `bad_key`, `bad_context`, `bad_parameter`, `value_too_large`, and those of the write coordinator. */
  async put(bucket: string, key: string, request: PutRequest): Promise<WriteReceipt> {
    const { maxValueBytes } = this.#options.limits
    if (request.value.length > maxValueBytes) {
      throw new AnnealError(
        'value_too_large',
        `the value has ${request.value.length} bytes and may have ${maxValueBytes}`,
        { maxValueBytes }
      )
    }
    const objectKey = this.#checkedKey(bucket, key)
    const seen = this.#openContext(objectKey, request)
    const ttlSeconds =
      request.ttlSeconds ?? this.#options.cluster.propertiesOf(bucket).ttlSeconds ?? 0
    const { value, contentType, meta } = request
    checkContentType(contentType)
    const write: Write = {
      value,
      contentType,
      meta,
      ttlMs: ttlSeconds * 1000,
      context: seen?.vector ?? emptyVector,
      contextTimeMs: seen?.timeMs ?? 0,
      coversAllHeld: false
    }
    return this.#write(bucket, objectKey, write, request, request.returnObject === true)
  }

  /** Without a context everything that the coordinator knows is deleted. Errors: as `put`. */
  async delete(bucket: string, key: string, request: WriteRequest): Promise<WriteReceipt> {
    const objectKey = this.#checkedKey(bucket, key)
    const seen = this.#openContext(objectKey, request)
    const write: Write = {
      value: null,
      contentType: '',
      meta: [],
      ttlMs: 0,
      context: seen?.vector ?? emptyVector,
      contextTimeMs: seen?.timeMs ?? 0,
      coversAllHeld: seen === null
    }
    return this.#write(bucket, objectKey, write, request, false)
  }

  /** What the request asks for, else what the bucket does, else the node. */
  readQuorum(bucket: string, { r }: Pick<RequestOptions, 'r'>): QuorumSpec {
    const { cluster, defaults } = this.#options
    return r ?? cluster.propertiesOf(bucket).r ?? defaults.r
  }

  /** Errors: `bad_key` for a bucket or key that is empty, too long, or not text. */
  checkName(what: 'bucket' | 'key', text: string): Buffer {
    const bytes = Buffer.from(text)
    const { maxKeyBytes } = this.#options.limits
    if (bytes.length === 0) throw new AnnealError('bad_key', `the ${what} is empty`)
    if (bytes.length > maxKeyBytes) {
      throw new AnnealError(
        'bad_key',
        `the ${what} has ${bytes.length} bytes and may have ${maxKeyBytes}`,
        { maxKeyBytes }
      )
    }
    if (!text.isWellFormed())
      throw new AnnealError('bad_key', `the ${what} is not well-formed Unicode`)
    return bytes
  }

  async #read(
    bucket: string,
    key: ObjectKey,
    request: RequestOptions,
    atLeast: CausalContext | null
  ): Promise<KeyView> {
    const { reads, defaults, keys, clock } = this.#options
    const result = await reads.read(key, {
      r: this.readQuorum(bucket, request),
      timeoutMs: request.timeoutMs ?? defaults.timeoutMs,
      sloppy: request.sloppy ?? defaults.sloppy,
      atLeast
    })
    return viewOf(keys, key, result.versions, clock.now(), result)
  }

  /** Whether the write may be made: throws, or answers with the time that is left for it. */
  async #checked(
    bucket: string,
    key: ObjectKey,
    request: WriteRequest,
    precondition: (view: KeyView) => void
  ): Promise<number> {
    const { clock, defaults } = this.#options
    const timeoutMs = request.timeoutMs ?? defaults.timeoutMs
    const startedMs = clock.monotonic()
    precondition(await this.#read(bucket, key, request, null))
    const leftMs = timeoutMs - (clock.monotonic() - startedMs)
    if (leftMs > 0) return Math.ceil(leftMs)
    throw new AnnealError(
      'timeout',
      `the ${timeoutMs} ms were over when the conditions had been checked: nothing was written`
    )
  }

  async #write(
    bucket: string,
    key: ObjectKey,
    write: Write,
    request: WriteRequest,
    returnObject: boolean
  ): Promise<WriteReceipt> {
    const { writes, cluster, defaults, keys, clock } = this.#options
    const { precondition, timeoutMs = defaults.timeoutMs } = request
    const isFree = precondition === undefined
    const result = await writes.write(key, write, {
      w: request.w ?? cluster.propertiesOf(bucket).w ?? defaults.w,
      timeoutMs: isFree ? timeoutMs : await this.#checked(bucket, key, request, precondition),
      sloppy: request.sloppy ?? defaults.sloppy,
      returnObject
    })
    const { answered, asked, hinted, coordinator, versions, contentHash } = result
    const context = { vector: result.context, timeMs: result.contextTimeMs }
    return {
      context: encodeContext(keys.context, key, context),
      etag: etagOfHash(contentHash),
      coordinator,
      answered,
      asked,
      hinted,
      view: versions && viewOf(keys, key, versions, clock.now(), result)
    }
  }

  #checkedKey(bucket: string, key: string): ObjectKey {
    return keyOf(this.checkName('bucket', bucket), this.checkName('key', key))
  }

  #openContext(key: ObjectKey, { context }: RequestOptions): CausalContext | null {
    return context === undefined ? null : decodeContext(this.#options.keys.context, key, context)
  }
}

const headerValue = /^[\t\x20-\x7e\x80-\xff]+$/

/** It is given back as a header, so whatever cannot be one would make the value unreadable. */
function checkContentType(contentType: string): void {
  const parameter = 'Content-Type'
  if (contentType.length > contentTypeBytesMax) {
    throw new AnnealError(
      'bad_parameter',
      `the content type has ${contentType.length} characters and may have ${contentTypeBytesMax}`,
      { parameter }
    )
  }
  if (!headerValue.test(contentType)) {
    throw new AnnealError(
      'bad_parameter',
      'the content type is empty or has characters that no header can have: give one such as text/plain',
      { parameter }
    )
  }
}

function viewOf(
  keys: ClusterKeys,
  key: ObjectKey,
  versions: Versions,
  nowMs: number,
  { answered, asked, hinted }: Pick<KeyView, 'answered' | 'asked' | 'hinted'>
): KeyView {
  const siblings = versions.filter((version) => isLive(version, nowMs))
  const state = siblings.length > 0 ? 'found' : versions.length > 0 ? 'deleted' : 'none'
  const seen = { vector: contextOf(versions), timeMs: latestTimeOf(versions) }
  const context = state === 'none' ? null : encodeContext(keys.context, key, seen)
  return { state, siblings, context, etag: etagOfAll(siblings), answered, asked, hinted }
}

/** Names one version: equal only for the same write. */
export function etagOf(version: Version): string {
  return etagOfHash(version.contentHash)
}

const etagBytes = Buffer.alloc(8)

// By way of a buffer that is kept: a view of a fresh digest makes V8 move its bytes out of the heap first.
function etagOfHash(contentHash: Uint8Array): string {
  for (let i = 0; i < etagBytes.length; i++) etagBytes[i] = contentHash[i] ?? 0
  return etagBytes.toString('hex')
}

function etagOfAll(siblings: Versions): string {
  const [first] = siblings
  if (first === undefined) return ''
  if (siblings.length === 1) return etagOf(first)
  return toHex(hash64(...siblings.map((version) => version.contentHash)))
}
