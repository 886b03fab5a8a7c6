import { AnnealError } from '../core/errors.ts'
import type { Clock, Log, RandomSource, Timers } from '../core/ports.ts'
import type { DeliveryVerdict } from '../repair/delivery-pace.ts'
import { type DeliveryOutcome, HintDelivery } from '../repair/hint-delivery.ts'
import { HintsElsewhere } from '../repair/hints-elsewhere.ts'
import type { WorkShare } from '../repair/work-share.ts'
import { partitionOf } from '../ring/token.ts'
import { HintStore } from '../storage/hint-store.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { encodeObject } from '../storage/object-codec.ts'
import { DamagedRowError, type Store } from '../storage/store.ts'
import { type ConflictMode, merge, sameVersions, type Versions } from '../storage/version.ts'
import type { ClusterState } from './cluster-state.ts'
import { LocalHints } from './local-hints.ts'
import type { LocalReplica } from './local-replica.ts'
import type { Outcome } from './peer/peer-link.ts'
import type { PeerRequests } from './peer/peers.ts'

export interface HintedHandoffOptions {
  readonly selfId: string
  readonly partitions: number
  readonly store: Store
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  readonly lookEveryMs: number
  readonly log: Log
  readonly settings: {
    readonly enabled: boolean
    readonly maxBytesPerTarget: number
    readonly maxAgeMs: number
  }
  readonly siblingsMax: number
  readonly objectBytesMax: number
  readonly modeOf: (key: ObjectKey) => ConflictMode
  readonly beforeWrite: () => void
  readonly acceptsWrites: () => boolean
  readonly onRangeMissed: (partition: number, target: string) => void
  readonly followDamage: (callback: (row: Buffer, reason: string) => void) => void
  /** Resolves once so many bytes may be sent. */
  readonly budget: (bytes: number) => Promise<void>
  readonly share: WorkShare
  /** What the governor leaves of the full rate: 1 is all of it. */
  readonly rateLeft: () => number
  /** What is built later than the hints; nothing of it is asked for before `delivery` starts. */
  readonly parts: () => {
    readonly cluster: ClusterState
    readonly peers: PeerRequests
    readonly local: LocalReplica
  }
}

/** The parts of hinted handoff on one node. */
export interface HintedHandoff {
  readonly store: HintStore
  /** Null where nothing new is kept; what was kept before is delivered all the same. */
  readonly local: LocalHints | null
  readonly elsewhere: HintsElsewhere
  readonly delivery: HintDelivery
}

const deliveryTimeoutMsMin = 10_000
/** A target that takes less is as good as gone. */
const deliveryBytesPerMsMin = 1024

/** Opens the hints; the caller starts and closes the delivery. Errors: as `HintStore.open`. */
export async function createHintedHandoff(options: HintedHandoffOptions): Promise<HintedHandoff> {
  const { selfId, partitions, settings, parts, acceptsWrites } = options
  const partitionOfKey = (key: ObjectKey) => partitionOf(key.token, partitions)
  const hints = await HintStore.open({
    ...options,
    bytesPerTargetMax: settings.maxBytesPerTarget,
    partitionOf: partitionOfKey
  })
  const local = new LocalHints({ ...options, hints, partitionOf: partitionOfKey })
  const delivery = new HintDelivery({
    ...options,
    hints,
    maxAgeMs: settings.maxAgeMs,
    partitionOf: partitionOfKey,
    replicasOf: (key) => parts().cluster.ring.replicas(partitionOfKey(key)),
    ringEpoch: () => parts().cluster.ring.epoch,
    canTake: (id) => (id === selfId ? acceptsWrites() : parts().peers.acceptsWrites(id)),
    send: (to, key, versions, done) => send(options, to, key, versions, done),
    isHeldHere: (key, versions) => isHeldHere(options, key, versions)
  })
  return {
    store: hints,
    local: settings.enabled ? local : null,
    elsewhere: new HintsElsewhere(),
    delivery
  }
}

function send(
  { selfId, parts }: HintedHandoffOptions,
  to: string,
  key: ObjectKey,
  versions: Versions,
  done: (outcome: DeliveryOutcome) => void
): void {
  if (to === selfId) {
    // No sync: the deletion of the hint is written after the row, and is lost together with it or not at all.
    parts().local.receiveHere(key, versions, (outcome) => {
      const verdict = outcome === 'repaired' ? 'acknowledged' : 'refused'
      done({ verdict, reason: outcome })
    })
    return
  }
  const object = encodeObject(versions, 'whole')
  const { bucket } = key
  const body = { kind: 'replicate', bucket, key: key.key, object, synced: true } as const
  const timeoutMs = deliveryTimeoutMsMin + object.length / deliveryBytesPerMsMin
  parts().peers.request(to, 'bulk', body, timeoutMs, (outcome) => done(judge(outcome)))
}

/** Full, slow and unreachable nodes are left alone for a while; any other refusal is about this one object. */
function judge(outcome: Outcome): DeliveryOutcome {
  if (outcome.kind === 'acknowledged') return { verdict: 'acknowledged', reason: 'acknowledged' }
  if (outcome.kind === 'noResponse') return { verdict: 'pushedBack', reason: outcome.reason }
  if (outcome.kind !== 'failure') return { verdict: 'refused', reason: 'unexpected' }
  const isAboutAll = ['overloaded', 'disk_full', 'epoch'].includes(outcome.code)
  const verdict: DeliveryVerdict = isAboutAll ? 'pushedBack' : 'refused'
  return { verdict, reason: outcome.code }
}

/**
 * Whether the own row would not change by the object. Whatever of the row is not on disk yet is there before the
 * deletion of the hint is, since batches are written in order.
 */
function isHeldHere(
  { store, modeOf }: HintedHandoffOptions,
  key: ObjectKey,
  versions: Versions
): boolean {
  try {
    const held = store.read(key)?.versions ?? []
    return held.length > 0 && sameVersions(merge(held, versions, modeOf(key)), held)
  } catch (thrown) {
    if (thrown instanceof DamagedRowError || thrown instanceof AnnealError) return false
    throw thrown
  }
}
