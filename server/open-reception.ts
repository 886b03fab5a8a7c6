import type { Clock, Log, Timers } from '../core/ports.ts'
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
  const watermarks = await openWatermarks({
    selfId,
    partitions,
    replicasOf: (partition) => ring().replicas(partition),
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
    replicasOf: (key) => ring().replicas(partitionOf(key.token, partitions)),
    timeoutMs: consultTimeoutMs,
    inFlightMax: consultationsInFlightMax
  })
  const reception = new Reception({
    store,
    clock,
    log,
    partitions,
    watermarks,
    quarantine,
    consultation,
    modeOf,
    checkRows
  })
  return { reception, consultation, watermarks, facts: new WatermarkFacts(watermarks), quarantine }
}
