import { toHex } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import { leafOf, partitionOf } from '../ring/token.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { decodeObject } from '../storage/object-codec.ts'
import { DamagedRowError } from '../storage/store.ts'
import { hashObject, type Version, type Versions } from '../storage/version.ts'
import { formatDot } from '../storage/version-vector.ts'
import { type CoordinatorContext, keyOf, replicasOf } from './coordinator/coordinator-context.ts'
import { etagOf } from './data-service.ts'

export type ReplicaState = 'ok' | 'missing' | 'damaged' | 'unreachable'

export interface InspectedVersion {
  readonly etag: string
  readonly dot: string
  readonly tombstone: boolean
  readonly lastModified: string
  readonly expires: string | null
  readonly bytes: number
}

export interface InspectedReplica {
  readonly node: string
  readonly state: ReplicaState
  readonly digest: string | null
  readonly versions: readonly InspectedVersion[]
}

export interface KeyInspected {
  readonly partition: number
  readonly leaf: number
  readonly replicas: readonly InspectedReplica[]
}

/** Leaves of a partition's hash tree: the next bits of the token. */
const leavesPerPartition = 1024
const timeoutMs = 2000

/** What every replica holds for a key, side by side and unmerged. */
export class KeyInspection {
  readonly #context: CoordinatorContext

  constructor(context: CoordinatorContext) {
    this.#context = context
  }

  /** With `localOnly` no other node is asked. */
  async inspect(bucket: Buffer, name: Buffer, localOnly: boolean): Promise<KeyInspected> {
    const { selfId, cluster } = this.#context
    const key = keyOf(bucket, name)
    const { partitions } = cluster.ring
    const nodes = localOnly ? [selfId] : replicasOf(this.#context, key)
    const replicas = await Promise.all(nodes.map((node) => this.#replica(node, key)))
    return {
      partition: partitionOf(key.token, partitions),
      leaf: leafOf(key.token, partitions, leavesPerPartition),
      replicas
    }
  }

  #replica(node: string, key: ObjectKey): Promise<InspectedReplica> {
    const { selfId, peers } = this.#context
    if (node === selfId) return Promise.resolve(this.#local(key))
    const { bucket, key: name } = key
    return new Promise((done) => {
      peers.request(node, 'small', { kind: 'inspect', bucket, key: name }, timeoutMs, (outcome) => {
        if (outcome.kind !== 'inspected') return done(withoutVersions(node, 'unreachable'))
        if (outcome.state !== 'ok') {
          return done(withoutVersions(node, outcome.state === 'missing' ? 'missing' : 'damaged'))
        }
        try {
          done(withVersions(node, decodeObject(outcome.object)))
        } catch (thrown) {
          if (!(thrown instanceof DecodeError)) throw thrown
          done(withoutVersions(node, 'damaged'))
        }
      })
    })
  }

  #local(key: ObjectKey): InspectedReplica {
    const { selfId, local } = this.#context
    try {
      const row = local.row(key)
      return row === null ? withoutVersions(selfId, 'missing') : withVersions(selfId, row.versions)
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return withoutVersions(selfId, 'damaged')
      throw thrown
    }
  }
}

function withoutVersions(node: string, state: ReplicaState): InspectedReplica {
  return { node, state, digest: null, versions: [] }
}

function withVersions(node: string, versions: Versions): InspectedReplica {
  return {
    node,
    state: 'ok',
    digest: toHex(hashObject(versions)),
    versions: versions.map(describe)
  }
}

function describe(version: Version): InspectedVersion {
  const { tombstone, timeMs, expiresAtMs, size, dot } = version
  return {
    etag: etagOf(version),
    dot: formatDot(dot),
    tombstone,
    lastModified: new Date(timeMs).toISOString(),
    expires: expiresAtMs === 0 ? null : new Date(expiresAtMs).toISOString(),
    bytes: size
  }
}
