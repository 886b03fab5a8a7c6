import type { Clock } from '../../core/ports.ts'
import type { PeerFacts } from '../../repair/scheduler.ts'
import type { Ring } from '../../ring/ring.ts'

export interface PeerWatchOptions {
  readonly selfId: string
  readonly clock: Clock
  readonly ring: () => Ring
  readonly isUp: (peer: string) => boolean
}

interface SharedPartitions {
  readonly epoch: string
  readonly byPeer: ReadonlyMap<string, readonly number[]>
}

/** With whom this node shares which partitions, and since when the others are down. */
export class PeerWatch {
  readonly #options: PeerWatchOptions
  readonly #downSince = new Map<string, string>()
  #shared: SharedPartitions = { epoch: '', byPeer: new Map() }

  constructor(options: PeerWatchOptions) {
    this.#options = options
  }

  /** The partitions that this node and each other one both hold, in order. */
  get shared(): ReadonlyMap<string, readonly number[]> {
    const ring = this.#options.ring()
    if (this.#shared.epoch !== ring.epoch) this.#shared = sharedIn(ring, this.#options.selfId)
    return this.#shared.byPeer
  }

  /** What the scheduler needs to know of the peers, but for what the ledger and the exchanges say. */
  look(): readonly Pick<PeerFacts, 'id' | 'up' | 'downSince' | 'partitions'>[] {
    const { isUp, clock } = this.#options
    const { shared } = this
    for (const id of this.#downSince.keys()) if (!shared.has(id)) this.#downSince.delete(id)
    return [...shared].map(([id, partitions]) => {
      const up = isUp(id)
      if (up) this.#downSince.delete(id)
      else if (!this.#downSince.has(id)) {
        this.#downSince.set(id, new Date(clock.now()).toISOString())
      }
      return { id, up, downSince: this.#downSince.get(id) ?? '', partitions }
    })
  }
}

function sharedIn(ring: Ring, selfId: string): SharedPartitions {
  const byPeer = new Map<string, number[]>()
  for (const id of ring.memberIds) if (id !== selfId) byPeer.set(id, [])
  for (let partition = 0; partition < ring.partitions; partition++) {
    const replicas = ring.replicas(partition)
    if (!replicas.includes(selfId)) continue
    for (const id of replicas) byPeer.get(id)?.push(partition)
  }
  return { epoch: ring.epoch, byPeer }
}
