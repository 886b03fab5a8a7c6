import { AnnealError } from '../core/errors.ts'
import type { Clock } from '../core/ports.ts'
import type { QuorumSpec } from '../ring/cluster-document.ts'
import type { Write } from '../storage/coordinate.ts'
import type { Quarantined, QuarantineStore } from '../storage/quarantine-store.ts'
import { emptyVector } from '../storage/version-vector.ts'
import type { WriteCoordinator } from './coordinator/write-coordinator.ts'
import { etagOf } from './data-service.ts'

export interface QuarantineDeskOptions {
  readonly nodeId: string
  readonly quarantine: QuarantineStore
  readonly writes: WriteCoordinator
  readonly clock: Clock
  readonly w: QuorumSpec
  readonly timeoutMs: number
}

/** A version in quarantine, as an operator sees it. */
export interface QuarantineEntry {
  readonly id: string
  readonly bucket: string
  readonly key: string
  readonly node: string
  readonly from: string
  readonly since: string
  readonly reason: string
  readonly etag: string
  readonly tombstone: boolean
  readonly bytes: number
  readonly lastModified: string
}

/** What an operator can do about versions that came up again after they had been done away with. */
export class QuarantineDesk {
  readonly #options: QuarantineDeskOptions

  constructor(options: QuarantineDeskOptions) {
    this.#options = options
  }

  /** Up to `limit`, in the order of their ids, after the one given. */
  async list(limit: number, after = ''): Promise<readonly QuarantineEntry[]> {
    const entries = await this.#options.quarantine.list(limit, after)
    return entries.map((entry) => describe(entry, this.#options.nodeId))
  }

  /**
   * Writes the value anew, as a blind write of now, so that it lives everywhere again, beside whatever the key has; then
   * lets the entry go.
   *
   * Errors: `not_found`; `bad_request` where it has expired meanwhile; those of the write coordinator.
   */
  async restore(id: string): Promise<void> {
    const { quarantine, writes, clock, w, timeoutMs } = this.#options
    const entry = quarantine.get(id)
    if (entry === null) throw this.#nothing(id)
    const write = writeOf(entry, clock.now())
    await writes.write(entry.key, write, { w, timeoutMs, sloppy: false, returnObject: false })
    await quarantine.drop(id)
  }

  /** Errors: `not_found`. */
  async drop(id: string): Promise<void> {
    if (!(await this.#options.quarantine.drop(id))) throw this.#nothing(id)
  }

  #nothing(id: string): AnnealError {
    return new AnnealError(
      'not_found',
      `node ${this.#options.nodeId} has nothing in quarantine under the id ${JSON.stringify(id)}: GET /admin/quarantine lists what there is`
    )
  }
}

function writeOf({ version }: Quarantined, nowMs: number): Write {
  const { contentType, meta, expiresAtMs, value } = version
  if (expiresAtMs !== 0 && expiresAtMs <= nowMs) {
    throw new AnnealError(
      'bad_request',
      'the value has expired meanwhile: all that is left is to drop it'
    )
  }
  return {
    value,
    contentType,
    meta,
    ttlMs: expiresAtMs === 0 ? 0 : expiresAtMs - nowMs,
    context: emptyVector,
    contextTimeMs: 0,
    coversAllHeld: false
  }
}

function describe(
  { id, key, version, reason, from, sinceMs }: Quarantined,
  node: string
): QuarantineEntry {
  return {
    id,
    bucket: Buffer.from(key.bucket).toString(),
    key: Buffer.from(key.key).toString(),
    node,
    from,
    since: new Date(sinceMs).toISOString(),
    reason,
    etag: etagOf(version),
    tombstone: version.tombstone,
    bytes: version.size,
    lastModified: new Date(version.timeMs).toISOString()
  }
}
