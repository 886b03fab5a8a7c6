import type { Clock } from '../core/ports.ts'
import type { AsideChange } from '../storage/aside-rows.ts'
import { type Coordinated, coordinate, type Write } from '../storage/coordinate.ts'
import { decodeDots } from '../storage/dots-codec.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { decodeForeignObject } from '../storage/object-codec.ts'
import type { Row } from '../storage/row-codec.ts'
import { DamagedRowError, type Mutation, type Store } from '../storage/store.ts'
import { type ConflictMode, hashObject, type Versions } from '../storage/version.ts'
import type { ReadAnswer } from './coordinator/read-tally.ts'
import type { ReceiveOutcome, Reception } from './reception.ts'

export interface LocalReplicaOptions {
  readonly store: Store
  readonly clock: Clock
  readonly siblingsMax: number
  readonly objectBytesMax: number
  readonly reception: Reception
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
    if (this.isBehind(key)) return { kind: 'failed', unknown: false, behind: true }
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

  /** Whether this node must not answer reads of the key, here of the node `asking`: see `Reception.isBehind`. */
  isBehind(key: ObjectKey, asking: string | null = null): boolean {
    return this.#options.reception.isBehind(key, asking)
  }

  /** What a read of the key waits for, soon after the start; nearly always null. */
  hearing(key: ObjectKey, asking: string | null = null): Promise<void> | null {
    return this.#options.reception.hearing(key, asking)
  }

  /** See `Reception.answersFor`. */
  answersFor(partition: number, asking: string | null): Promise<boolean> {
    return this.#options.reception.answersFor(partition, asking)
  }

  /** 8 bytes; empty where nothing is proven in the key's partition. */
  watermarkName(key: ObjectKey): Uint8Array {
    return this.#options.reception.watermarkName(key)
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
   * Takes in an object from elsewhere: merged, never overwritten. Resolves once it is durable, or was refused. `sender`
   * is the node that holds the object; null where it is nobody's.
   *
   * Errors: throws or rejects with `overloaded`, or what the store has failed with.
   */
  receive(key: ObjectKey, arriving: Versions, sender: string | null): Promise<ReceiveOutcome> {
    this.#noteArrival(arriving)
    return this.#options.reception.receive(key, arriving, sender)
  }

  /** As `receive`, telling how it ended instead of throwing. */
  receiveHere(
    key: ObjectKey,
    arriving: Versions,
    done: (outcome: 'repaired' | 'failed') => void
  ): void {
    try {
      this.receive(key, arriving, null).then(
        ({ kind }) => done(kind === 'refused' ? 'failed' : 'repaired'),
        () => done('failed')
      )
    } catch {
      done('failed')
    }
  }

  /** As `receive`, from the bytes of a peer. Errors: also DecodeError for bytes that are no object. */
  receiveBytes(key: ObjectKey, object: Uint8Array, sender: string): Promise<ReceiveOutcome> {
    const arriving = decodeForeignObject(object)
    this.#noteArrival(arriving)
    return this.#options.reception.receive(key, arriving, sender, object)
  }

  /** As `receiveBytes`, answering as soon as the object is staged: see `Reception.take`. */
  takeBytes(
    key: ObjectKey,
    object: Uint8Array,
    sender: string,
    isWanted: () => boolean
  ): ReceiveOutcome | Promise<ReceiveOutcome> {
    const arriving = decodeForeignObject(object)
    this.#noteArrival(arriving)
    return this.#options.reception.take(key, arriving, sender, object, isWanted)
  }

  #noteArrival(arriving: Versions): void {
    const { store, beforeWrite } = this.#options
    beforeWrite()
    if (store.minter.hasForgotten(arriving)) {
      store.renewIncarnation('a peer holds a dot of this node that it does not remember')
    }
  }

  /** The receiver of an object answered with the dots of versions of it that all others had done away with. */
  setAside(key: ObjectKey, quarantined: Uint8Array, foundBy: string): void {
    if (quarantined.length === 0) return
    try {
      // A failed write stops the node, which says so itself.
      this.#options.reception.setAside(key, decodeDots(quarantined), foundBy).catch(() => {})
    } catch {
      // Whatever prevents it now, the next exchange finds the same version again.
    }
  }

  /**
   * Mints a version and merges it into what is held. What `alongside` makes of that goes into the same batch.
   *
   * Errors: as `coordinate` and `Store.mutate`.
   */
  coordinate(
    key: ObjectKey,
    write: Write,
    alongside?: (coordinated: Coordinated) => readonly AsideChange[]
  ): Mutation<Coordinated> {
    const { store, clock, siblingsMax, objectBytesMax, modeOf } = this.#options
    this.#options.beforeWrite()
    const rules = { mode: modeOf(key), siblingsMax, objectBytesMax, nowMs: clock.now() }
    for (;;) {
      try {
        return store.mutate(
          key,
          (current) => {
            // The merged object goes out whole, so values that are kept apart are read before anything is minted.
            const held = current && {
              ...current,
              versions: store.withValues(key, current.versions)
            }
            const result = coordinate(key, held, write, store.minter, rules)
            return { next: { versions: result.versions, mintActor: result.mintActor }, result }
          },
          alongside && (({ result }) => alongside(result))
        )
      } catch (thrown) {
        // The store knows one damaged value more now and leaves it out; there are no more of them than versions.
        if (!(thrown instanceof DamagedRowError)) throw thrown
      }
    }
  }

  /** Resolves when all that this node has taken in so far outlives a power failure. */
  sync(): Promise<void> {
    return this.#options.store.sync()
  }

  mode(key: ObjectKey): ConflictMode {
    return this.#options.modeOf(key)
  }
}
