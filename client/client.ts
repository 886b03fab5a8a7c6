import { AnnealClientError } from './client-error.ts'
import { type Answer, HttpCaller } from './http-caller.ts'
import type {
  BackgroundRepair,
  HintBacklog,
  QuarantineEntry,
  RepairOptions,
  RepairRunStatus,
  RepairStatus
} from './repair-types.ts'
import type {
  BatchOperation,
  BatchResult,
  CallOptions,
  ClusterStatus,
  DeleteOptions,
  GetResult,
  HeadResult,
  KeyStatus,
  ListOptions,
  ListResult,
  MissingResult,
  PutOptions,
  ReadOptions,
  RingStatus,
  Sibling,
  ValueInfo,
  WriteResult
} from './types.ts'

export interface AnnealClientOptions {
  /** Base URLs of one or more nodes of a cluster, such as `http://127.0.0.1:8801`. The first is preferred. */
  readonly nodes: readonly string[]
  /**
   * How long one call may take in all, in milliseconds; 10 seconds unless given. A call that gives the server time of its
   * own is waited for until a little after that, should it be later.
   */
  readonly timeoutMs?: number
}

/**
 * A client over `fetch`. When a node cannot be reached or is not ready, the next one is tried once; a write only when
 * the first certainly did not take it.
 *
 * Errors: every method rejects with AnnealClientError.
 */
export class AnnealClient {
  readonly #caller: HttpCaller

  constructor(options: AnnealClientOptions) {
    this.#caller = new HttpCaller(options.nodes, options.timeoutMs ?? 10_000)
  }

  async get(bucket: string, key: string, options: ReadOptions = {}): Promise<GetResult> {
    const answer = await this.#read('GET', bucket, key, options)
    if (answer.status === 404) return missing(answer)
    const context = answer.headers.get('causal-context') ?? ''
    if (answer.status === 300) return { kind: 'siblings', siblings: siblings(answer), context }
    return { kind: 'value', value: answer.body, context, ...valueInfo(answer.headers) }
  }

  async head(bucket: string, key: string, options: ReadOptions = {}): Promise<HeadResult> {
    const answer = await this.#read('HEAD', bucket, key, options)
    if (answer.status === 404) return missing(answer)
    const context = answer.headers.get('causal-context') ?? ''
    if (answer.status === 300) return { kind: 'siblings', context }
    return { kind: 'value', context, ...valueInfo(answer.headers) }
  }

  async put(
    bucket: string,
    key: string,
    value: Uint8Array | string,
    options: PutOptions = {}
  ): Promise<WriteResult> {
    const headers = contextHeader(options.context)
    headers.set('content-type', options.contentType ?? 'application/octet-stream')
    for (const [name, text] of options.meta ?? []) headers.set(`x-meta-${name}`, text)
    const path = dataPath(bucket, key, {
      ...callQuery(options),
      w: options.w,
      ttl: options.ttlSeconds
    })
    const body = typeof value === 'string' ? new TextEncoder().encode(value) : value
    const serverTimeoutMs = options.timeoutMs
    return written(await this.#caller.call({ method: 'PUT', path, headers, body, serverTimeoutMs }))
  }

  /** With a context only what it covers is deleted; without one, everything that the coordinator knows. */
  async delete(bucket: string, key: string, options: DeleteOptions = {}): Promise<WriteResult> {
    const headers = contextHeader(options.context)
    const path = dataPath(bucket, key, { ...callQuery(options), w: options.w })
    const serverTimeoutMs = options.timeoutMs
    return written(await this.#caller.call({ method: 'DELETE', path, headers, serverTimeoutMs }))
  }

  /** Many operations in one request; not atomic, each has a status of its own. */
  async batch(
    operations: readonly BatchOperation[],
    options: CallOptions = {}
  ): Promise<readonly BatchResult[]> {
    const ops = operations.map((operation) =>
      operation.op === 'put' ? { ...operation, value: toBase64(operation.value) } : operation
    )
    const isRead = operations.every((operation) => operation.op === 'get')
    const headers = new Headers({ 'content-type': 'application/json' })
    const path = withQuery('/kv/batch', callQuery(options))
    const body = new TextEncoder().encode(JSON.stringify({ ops }))
    const serverTimeoutMs = options.timeoutMs
    const call = { method: 'POST', path, headers, body, isRead, serverTimeoutMs } as const
    const answer = await this.#caller.call(call)
    return answer.json<{ readonly results: readonly BatchResult[] }>('results').results
  }

  /** One page of the keys of a bucket. Costly for the cluster: it walks over all partitions. */
  async list(bucket: string, options: ListOptions = {}): Promise<ListResult> {
    const path = withQuery(`/kv/${segment('bucket', bucket)}`, { ...options })
    const answer = await this.#caller.call({ method: 'GET', path })
    const page = answer.json<{ readonly keys: readonly string[]; readonly cursor?: string }>('keys')
    return { keys: page.keys, cursor: page.cursor ?? null }
  }

  async status(): Promise<ClusterStatus> {
    const answer = await this.#caller.call({ method: 'GET', path: '/admin/status' })
    return answer.json<ClusterStatus>('node', 'cluster')
  }

  async ring(): Promise<RingStatus> {
    const answer = await this.#caller.call({ method: 'GET', path: '/admin/ring' })
    return answer.json<RingStatus>('epoch', 'partitions')
  }

  /** Begins a repair on the node asked; answers its id. */
  async startRepair(options: RepairOptions = {}): Promise<string> {
    const headers = new Headers({ 'content-type': 'application/json' })
    const body = new TextEncoder().encode(JSON.stringify(options))
    const answer = await this.#caller.call({ method: 'POST', path: '/admin/repair', headers, body })
    return answer.json<{ readonly id: string }>('id').id
  }

  async repairRun(id: string): Promise<RepairRunStatus> {
    const path = `/admin/repair/${encodeURIComponent(id)}`
    const answer = await this.#caller.call({ method: 'GET', path })
    return answer.json<RepairRunStatus>('id', 'state', 'partitions')
  }

  /** Nothing is written on its behalf any more. */
  async cancelRepair(id: string): Promise<RepairRunStatus> {
    const path = `/admin/repair/${encodeURIComponent(id)}`
    const answer = await this.#caller.call({ method: 'DELETE', path })
    return answer.json<RepairRunStatus>('id', 'state', 'partitions')
  }

  /** Background repair of the node asked, and what is known of each partition. */
  async repair(): Promise<RepairStatus> {
    const answer = await this.#caller.call({ method: 'GET', path: '/admin/repair' })
    return answer.json<RepairStatus>('background', 'partitions')
  }

  /** Pauses or resumes the background repair of the node asked. */
  async switchRepair(to: 'pause' | 'resume'): Promise<BackgroundRepair> {
    const answer = await this.#caller.call({ method: 'POST', path: `/admin/repair/${to}` })
    return answer.json<BackgroundRepair>('state')
  }

  /** What waits at the node asked for nodes that could not be reached. */
  async hints(): Promise<readonly HintBacklog[]> {
    const answer = await this.#caller.call({ method: 'GET', path: '/admin/hints' })
    return answer.json<readonly HintBacklog[]>('length')
  }

  /** Versions that the node asked has set aside because they came up again after they were done away with. */
  async quarantine(): Promise<readonly QuarantineEntry[]> {
    const answer = await this.#caller.call({ method: 'GET', path: '/admin/quarantine' })
    return answer.json<readonly QuarantineEntry[]>('length')
  }

  /** Lets a version that the node asked has set aside live again, as a new write. */
  async restoreQuarantined(id: string): Promise<void> {
    const path = `/admin/quarantine/${encodeURIComponent(id)}/restore`
    await this.#caller.call({ method: 'POST', path })
  }

  /** Deletes a version that the node asked has set aside. */
  async dropQuarantined(id: string): Promise<void> {
    const path = `/admin/quarantine/${encodeURIComponent(id)}`
    await this.#caller.call({ method: 'DELETE', path })
  }

  /** What every replica holds for a key; with `local` only what the node asked holds. */
  async key(bucket: string, key: string, options: { local?: boolean } = {}): Promise<KeyStatus> {
    const segments = `/admin/keys/${segment('bucket', bucket)}/${segment('key', key)}`
    const path = withQuery(segments, { local: options.local })
    return (await this.#caller.call({ method: 'GET', path })).json<KeyStatus>(
      'partition',
      'replicas'
    )
  }

  #read(
    method: 'GET' | 'HEAD',
    bucket: string,
    key: string,
    options: ReadOptions
  ): Promise<Answer> {
    const headers = contextHeader(options.context)
    const path = dataPath(bucket, key, { ...callQuery(options), r: options.r })
    const isAccepted = (answer: Answer): boolean =>
      answer.status === 300 || (answer.status === 404 && isMissing(method, answer))
    const serverTimeoutMs = options.timeoutMs
    return this.#caller.call({ method, path, headers, isAccepted, serverTimeoutMs })
  }
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

function callQuery(options: CallOptions): Query {
  return { sloppy: options.sloppy, timeout: options.timeoutMs }
}

function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  return parameters.size === 0 ? path : `${path}?${parameters}`
}

function dataPath(bucket: string, key: string, query: Query): string {
  return withQuery(`/kv/${segment('bucket', bucket)}/${segment('key', key)}`, query)
}

/**
 * The URLs of `fetch` have no segments `.` and `..`, however they are encoded: they are taken away before the request
 * is sent, which would then be about something else. Half a surrogate pair cannot be encoded at all.
 */
function segment(what: 'bucket' | 'key', text: string): string {
  if (text === '.' || text === '..' || !text.isWellFormed())
    throw AnnealClientError.unaddressable(what, text)
  return encodeURIComponent(text)
}

function contextHeader(context: string | undefined): Headers {
  return context === undefined ? new Headers() : new Headers({ 'causal-context': context })
}

/** A 404 is an answer where it speaks of the key; one that speaks of the route is a mistake. HEAD has no body to tell. */
function isMissing(method: 'GET' | 'HEAD', answer: Answer): boolean {
  return method === 'HEAD' || answer.code() === 'not_found'
}

function missing(answer: Answer): MissingResult {
  const context = answer.headers.get('causal-context')
  return { kind: 'missing', deleted: answer.headers.get('x-deleted') === 'true', context }
}

function written(answer: Answer): WriteResult {
  return { context: answer.headers.get('causal-context'), etag: answer.headers.get('etag') }
}

function valueInfo(headers: Headers): ValueInfo {
  const prefix = 'x-meta-'
  const metaHeaders = [...headers].filter(([name]) => name.startsWith(prefix))
  return {
    contentType: headers.get('content-type') ?? 'application/octet-stream',
    meta: new Map(metaHeaders.map(([name, value]) => [name.slice(prefix.length), value])),
    etag: headers.get('etag') ?? '',
    lastModified: headers.get('last-modified') ?? ''
  }
}

interface SiblingJson {
  readonly value: string
  readonly contentType?: string
  readonly lastModified?: string
  readonly meta?: Readonly<Record<string, string>>
  readonly etag?: string
}

function siblings(answer: Answer): readonly Sibling[] {
  const body = answer.json<{ readonly siblings: readonly SiblingJson[] }>('siblings')
  return body.siblings.map((sibling) => ({
    value: Uint8Array.from(atob(sibling.value), (character) => character.charCodeAt(0)),
    contentType: sibling.contentType ?? 'application/octet-stream',
    meta: new Map(Object.entries(sibling.meta ?? {})),
    etag: sibling.etag ?? '',
    lastModified: sibling.lastModified ?? ''
  }))
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}
