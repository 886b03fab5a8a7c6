import { AnnealError } from '../core/errors.ts'
import type { Clock, Log } from '../core/ports.ts'
import type { AsideChange } from '../storage/aside-rows.ts'
import { type Coordinated, coordinate, type Write } from '../storage/coordinate.ts'
import type { HintStore } from '../storage/hint-store.ts'
import type { ObjectKey } from '../storage/keys.ts'
import type { Store } from '../storage/store.ts'
import { type ConflictMode, hashObject, type Versions } from '../storage/version.ts'

export interface LocalHintsOptions {
  readonly selfId: string
  readonly store: Store
  readonly hints: HintStore
  readonly clock: Clock
  readonly log: Log
  readonly siblingsMax: number
  readonly objectBytesMax: number
  readonly modeOf: (key: ObjectKey) => ConflictMode
  readonly partitionOf: (key: ObjectKey) => number
  /** Before the first write: the cluster has taken data from now on. */
  readonly beforeWrite: () => void
  /** Nobody keeps what the target missed: it needs an exchange of the partition soon. */
  readonly onRangeMissed: (partition: number, target: string) => void
}

/** What this node does for replicas that cannot be reached: keeps writes for them, answers and coordinates for them. */
export class LocalHints {
  readonly #options: LocalHintsOptions

  constructor(options: LocalHintsOptions) {
    this.#options = options
  }

  /** What waits here under the key, for whomever; as a read wants it. */
  read(key: ObjectKey): { readonly versions: Versions; readonly objectHash: Uint8Array } {
    const versions = this.#options.hints.heldFor(key)
    return { versions, objectHash: hashObject(versions) }
  }

  /**
   * Keeps for a target what a coordinator asks this node to. Resolves once it is durable.
   *
   * Errors: throws `overloaded` where the room for the target is used up, and what the store has failed with.
   */
  store(target: string, key: ObjectKey, versions: Versions): Promise<void> {
    const { hints, store, selfId, beforeWrite } = this.#options
    beforeWrite()
    if (store.minter.hasForgotten(versions)) {
      store.renewIncarnation('a peer holds a dot of this node that it does not remember')
    }
    const put = hints.put(target, key, versions)
    if (put.kind === 'stored') return put.durable
    throw new AnnealError(
      'overloaded',
      `node ${selfId} keeps as much for node ${target} as it may (hints.maxBytesPerTarget)`
    )
  }

  /** Keeps for a target what this node has coordinated itself. What cannot be kept is repaired by an exchange. */
  keep(target: string, key: ObjectKey, versions: Versions): void {
    const { hints, log, onRangeMissed, partitionOf } = this.#options
    try {
      if (hints.put(target, key, versions).kind === 'overflow') {
        onRangeMissed(partitionOf(key), target)
      }
    } catch (error) {
      log.debug({ target, error }, 'a write that a replica missed is not kept for it')
      onRangeMissed(partitionOf(key), target)
    }
  }

  /** As `keep`, for the batch that the row itself goes into. */
  changes(targets: readonly string[], key: ObjectKey, versions: Versions): AsideChange[] {
    const { hints, onRangeMissed, partitionOf } = this.#options
    const changes: AsideChange[] = []
    for (const target of targets) {
      const change = hints.change(target, key, versions)
      if (change === null) onRangeMissed(partitionOf(key), target)
      else changes.push(change)
    }
    return changes
  }

  /**
   * Coordinates a write in place of the targets, which cannot be reached: mints a version and merges it into what waits
   * here under the key. Always under a new epoch, since this node forgets what it held once the hints are delivered,
   * and an actor that went on would claim it all the same.
   *
   * Errors: as `coordinate`; `overloaded` where nothing more is kept for any of the targets, and nothing has changed.
   */
  coordinate(
    key: ObjectKey,
    write: Write,
    targets: readonly string[]
  ): { readonly result: Coordinated; readonly durable: Promise<void> } {
    const { store, hints, clock, siblingsMax, objectBytesMax, modeOf, selfId, beforeWrite } =
      this.#options
    beforeWrite()
    store.checkRoom()
    const versions = hints.heldFor(key)
    const rules = { mode: modeOf(key), siblingsMax, objectBytesMax, nowMs: clock.now() }
    const result = coordinate(key, { versions, mintActor: null }, write, store.minter, rules)
    const changes = this.changes(targets, key, result.versions)
    if (changes.length === 0) {
      throw new AnnealError(
        'overloaded',
        `no replica of this key can be reached, and node ${selfId} keeps as much for ${targets.join(', ')} as it may (hints.maxBytesPerTarget)`
      )
    }
    return { result, durable: store.changeAside(changes) }
  }
}
