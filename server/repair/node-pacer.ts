import type { NodePorts } from '../node.ts'
import type { NodeStorage } from '../node-storage.ts'
import type { ForegroundLatency } from './foreground-latency.ts'
import { Pacer } from './pacer.ts'

/** Repair on this node at the pace that its users and its disk leave. */
export function createNodePacer(
  { clock, timers, log, config, eventLoopDelayMs }: NodePorts,
  { store, pendingBytesMax }: NodeStorage,
  foreground: ForegroundLatency
): Pacer {
  return new Pacer({
    clock,
    timers,
    bytesPerSecondMax: config.repair.maxBytesPerSecond,
    bytesPerSecondMaxAcrossRegions: config.repair.maxBytesPerSecondAcrossRegions,
    latencyTargetMs: config.repair.latencyTargetMs,
    pendingBytesTarget: pendingBytesMax / 2,
    observe: () => ({
      foregroundP99Ms: foreground.percentileMs(0.99),
      eventLoopDelayMs: eventLoopDelayMs(),
      pendingBytes: store.pendingBytes
    }),
    onChange: (pace) => log.info({ ...pace }, `repair is ${pace.state}`)
  })
}
