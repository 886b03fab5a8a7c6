import type { Clock } from '../core/ports.ts'
import { type Coordinated, coordinate, type Write } from '../storage/coordinate.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { decodeForeignObject } from '../storage/object-codec.ts'
import type { Row } from '../storage/row-codec.ts'
import { DamagedRowError, type Mutation, type Store } from '../storage/store.ts'
import {
  type ConflictMode,
  hashObject,
  merge,
  sameVersions,
  type Versions
} from '../storage/version.ts'
import type { ReadAnswer } from './coordinator/read-tally.ts'

export interface LocalReplicaOptions {
  readonly store: Store
  readonly clock: Clock
  readonly siblingsMax: number
  readonly modeOf: (key: ObjectKey) => ConflictMode
  /** Before the first write: the cluster has taken data from now on. */
  readonly beforeWrite: () => void
}

/** `hashObject` of no versions: what a replica answers with that holds nothing. */
export const nothingHash: Uint8Array = hashObject([])

/** What this node does as one replica among others: each operation is one read or one mutation of the store. */
export class LocalReplica {
  readonly #options: LocalReplicaOptions

  constructor(options: LocalReplicaOptions) {
    this.#options = options
  }

  /** Values that are kept apart are filled in. */
  read(key: ObjectKey): ReadAnswer {
    const { store } = this.#options
    try {
      const row = store.read(key)
      if (row === null) return { kind: 'versions', versions: [], objectHash: nothingHash }
      const versions = store.withValues(key, row.versions)
      return { kind: 'versions', versions, objectHash: row.objectHash }
    } catch (thrown) {
      if (thrown instanceof DamagedRowError) return { kind: 'damaged' }
      throw thrown
    }
  }

  /** The row as it is, for answering peers. Errors: DamagedRowError. */
  row(key: ObjectKey): Row | null {
    return this.#options.store.read(key)
  }

  /** The object with all values as it goes to peers; empty for no row. Errors: DamagedRowError. */
  wholeObject(key: ObjectKey, row: Row): Buffer {
    return this.#options.store.wholeObject(key, row)
  }

  /**
   * Takes in an object from elsewhere: merged, never overwritten. Resolves once it is durable.
   *
   * Errors: throws `overloaded`, or what the store has failed with.
   */
  receive(key: ObjectKey, arriving: Versions): Promise<void> {
    const { store, modeOf } = this.#options
    this.#options.beforeWrite()
    if (store.minter.hasForgotten(arriving)) {
      store.renewIncarnation('a peer holds a dot of this node that it does not remember')
    }
    return store.mutate(key, (current) => {
      const held = current?.versions ?? []
      const versions = merge(held, arriving, modeOf(key))
      if (current !== null && sameVersions(versions, held)) return { next: null, result: null }
      return { next: { versions, mintActor: current?.mintActor ?? null }, result: null }
    }).durable
  }

  /** As `receive`, telling how it ended instead of throwing. */
  receiveHere(
    key: ObjectKey,
    arriving: Versions,
    done: (outcome: 'repaired' | 'failed') => void
  ): void {
    try {
      const succeed = () => done('repaired')
      this.receive(key, arriving).then(succeed, () => done('failed'))
    } catch {
      done('failed')
    }
  }

  /** As `receive`, from the bytes of a peer. Errors: also DecodeError for bytes that are no object. */
  receiveBytes(key: ObjectKey, object: Uint8Array): Promise<void> {
    return this.receive(key, decodeForeignObject(object))
  }

  /** Mints a version and merges it into what is held. Errors: as `coordinate` and `Store.mutate`. */
  coordinate(key: ObjectKey, write: Write): Mutation<Coordinated> {
    const { store, clock, siblingsMax, modeOf } = this.#options
    this.#options.beforeWrite()
    const rules = { mode: modeOf(key), siblingsMax, nowMs: clock.now() }
    for (;;) {
      try {
        return store.mutate(key, (current) => {
          // The merged object goes out whole, so values that are kept apart are read before anything is minted.
          const held = current && { ...current, versions: store.withValues(key, current.versions) }
          const result = coordinate(held, write, store.minter, rules)
          return { next: { versions: result.versions, mintActor: result.mintActor }, result }
        })
      } catch (thrown) {
        // The store knows one damaged value more now and leaves it out; there are no more of them than versions.
        if (!(thrown instanceof DamagedRowError)) throw thrown
      }
    }
  }

  mode(key: ObjectKey): ConflictMode {
    return this.#options.modeOf(key)
  }
}
