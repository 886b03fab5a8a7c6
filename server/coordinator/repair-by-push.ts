import { ReadRepair } from '../../repair/read-repair.ts'
import { encodeObject } from '../../storage/object-codec.ts'
import type { NodeMetrics } from '../node-metrics.ts'
import type { CoordinatorContext } from './coordinator-context.ts'

const repairsInFlightMax = 1024
const repairTimeoutMs = 5000

/** Read repair over the peer links, and on this node itself. */
export function createReadRepair(context: CoordinatorContext, metrics: NodeMetrics): ReadRepair {
  const { selfId, local, peers } = context
  return new ReadRepair({
    keysInFlightMax: repairsInFlightMax,
    onOutcome: (outcome) => metrics.readRepairs.inc({ outcome }),
    push: (replica, key, versions, done) => {
      if (replica === selfId) {
        local.receiveHere(key, versions, done)
        return
      }
      const object = encodeObject(versions, 'whole')
      const { bucket } = key
      const body = { kind: 'replicate', bucket, key: key.key, object, synced: false } as const
      peers.request(replica, 'bulk', body, repairTimeoutMs, (outcome) => {
        if (outcome.kind === 'acknowledged') local.setAside(key, outcome.quarantined, replica)
        done(outcome.kind === 'acknowledged' ? 'repaired' : 'failed')
      })
    }
  })
}
