import type { Clock, Log, Timers } from '../core/ports.ts'
import { FirstHearing } from '../repair/first-hearing.ts'
import { WatermarkFacts } from '../repair/watermark-facts.ts'
import { openWatermarks } from '../repair/watermark-journal.ts'
import type { Watermarks } from '../repair/watermarks.ts'
import type { Ring } from '../ring/ring.ts'
import { partitionOf } from '../ring/token.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { QuarantineStore } from '../storage/quarantine-store.ts'
import type { Store } from '../storage/store.ts'
import type { ConflictMode } from '../storage/version.ts'
import { WatermarkStore } from '../storage/watermark-store.ts'
import { Consultation } from './consultation.ts'
import type { PeerRequests } from './peer/peers.ts'
import { Reception } from './reception.ts'

export interface ReceptionParts {
  readonly selfId: string
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
  readonly log: Log
  readonly ring: () => Ring
  readonly peers: Pick<PeerRequests, 'isUp' | 'request'>
  /** Up, or not tried yet. */
  readonly isReachable: (id: string) => boolean
  readonly modeOf: (key: ObjectKey) => ConflictMode
  readonly checkRows: (key: ObjectKey) => Promise<void>
  /** The watermarks of these partitions have changed. */
  readonly onWatermarks: (partitions: readonly number[]) => void
}

/** What decides about everything that arrives, with what it knows brought back from disk. */
export interface OpenedReception {
  readonly reception: Reception
  readonly consultation: Consultation
  readonly watermarks: Watermarks
  readonly hearing: FirstHearing
  readonly facts: WatermarkFacts
  readonly quarantine: QuarantineStore
}

const mebi = 1024 * 1024
const quarantineBytesMax = 256 * mebi
const consultTimeoutMs = 2000
const consultationsInFlightMax = 256

export async function openReception(parts: ReceptionParts): Promise<OpenedReception> {
  const { selfId, store, clock, timers, log, ring, peers, modeOf, checkRows, onWatermarks } = parts
  const { partitions } = ring()
  const replicasOf = (partition: number) => ring().replicas(partition)
  const { isReachable } = parts
  const hearing = new FirstHearing({ selfId, replicasOf, isReachable, timers })
  const watermarks = await openWatermarks({
    selfId,
    partitions,
    replicasOf,
    store: new WatermarkStore(store, partitions),
    timers,
    log,
    onWatermarks
  })
  const quarantine = new QuarantineStore(store, quarantineBytesMax)
  await quarantine.load()
  const consultation = new Consultation({
    selfId,
    peers,
    replicasOf: (key) => replicasOf(partitionOf(key.token, partitions)),
    timeoutMs: consultTimeoutMs,
    inFlightMax: consultationsInFlightMax
  })
  const reception = new Reception({
    store,
    clock,
    log,
    partitions,
    watermarks,
    hearing,
    quarantine,
    consultation,
    modeOf,
    checkRows
  })
  const facts = new WatermarkFacts(watermarks)
  return { reception, consultation, watermarks, hearing, facts, quarantine }
}
