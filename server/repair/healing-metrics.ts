import type { ClusterState } from '../cluster-state.ts'
import type { HintedHandoff } from '../hinted-handoff.ts'
import type { NodeMetrics } from '../node-metrics.ts'
import type { OpenedReception } from '../open-reception.ts'
import { hintsReport, type TargetBacklog } from './hints-report.ts'
import type { NodeRepair } from './node-repair.ts'
import type { WatermarkAges } from './watermark-ages.ts'
import { type WatermarkReport, watermarkReport } from './watermark-report.ts'

export interface HealingSources {
  readonly repair: NodeRepair
  readonly handoff: HintedHandoff
  readonly arriving: OpenedReception
  readonly watermarkAges: WatermarkAges
  readonly cluster: ClusterState
}

const oneScrapeMs = 100

/** Describes to Prometheus what heals besides exchanges: hints, tombstones and what is proven of them, scrubbing. */
export function describeHealingMetrics(metrics: NodeMetrics, sources: HealingSources): void {
  describeHints(metrics, sources)
  describeTombstones(metrics, sources)
  describeWatermarks(metrics, sources)
  describeScrub(metrics, sources.repair)
}

function describeHints(metrics: NodeMetrics, { repair, handoff }: HealingSources): void {
  const { store, delivery } = handoff
  const byTarget = (read: (backlog: TargetBacklog) => number) => () =>
    hintsReport(repair.hints).map((backlog) => [backlog.target, read(backlog)] as const)
  metrics.labelledGauge(
    'anneal_hints',
    'Objects that wait here for a node that missed them',
    'target',
    byTarget(({ count }) => count)
  )
  metrics.labelledGauge(
    'anneal_hints_bytes',
    'Bytes that wait here for a node that missed them',
    'target',
    byTarget(({ bytes }) => bytes)
  )
  metrics.labelledGauge(
    'anneal_hints_oldest_age_seconds',
    'How long the oldest of them has waited',
    'target',
    byTarget(({ oldestSeconds }) => oldestSeconds ?? 0)
  )
  metrics.count('anneal_hints_stored_total', 'Hints stored', () => store.counters.stored)
  metrics.count(
    'anneal_hints_overflowed_total',
    'Hints refused since there was no more room for the target; its range is compared early',
    () => store.counters.overflowed
  )
  metrics.count(
    'anneal_hints_damaged_total',
    'Hints that could not be read any more; their ranges are compared early',
    () => store.counters.damaged
  )
  metrics.count(
    'anneal_hints_delivered_total',
    'Hints that were handed over',
    () => delivery.counters.delivered
  )
  metrics.count(
    'anneal_hints_expired_total',
    'Hints that became too old and went to the other replicas; their ranges are compared early',
    () => delivery.counters.expired
  )
  metrics.gauge(
    'anneal_hints_overdue',
    'Hints that are too old and that no majority of the replicas could be given yet',
    () => delivery.counters.overdue
  )
  metrics.labelledCount(
    'anneal_hints_delivery_failures_total',
    'Attempts to hand a hint over that failed, by reason; each is tried again',
    ['reason'],
    () => [...delivery.counters.failures].map(([reason, count]) => [{ reason }, count] as const)
  )
}

function describeTombstones(metrics: NodeMetrics, { repair, arriving }: HealingSources): void {
  const { reception, quarantine } = arriving
  const { collection } = repair
  metrics.gauge(
    'anneal_tombstones',
    'Tombstones and expired versions held, as the last sweep found them',
    () => collection.counts.held
  )
  metrics.labelledGauge(
    'anneal_tombstones_waiting',
    'Of these, those that are not collected yet, by reason',
    'reason',
    () => [
      ['grace', collection.counts.waitingForGrace],
      ['not_proven', collection.counts.notProven]
    ]
  )
  metrics.count(
    'anneal_tombstones_collected_total',
    'Tombstones and expired versions removed after all replicas were proven to have them',
    () => collection.counts.collected
  )
  metrics.gauge(
    'anneal_quarantined_versions',
    'Versions that are set aside here',
    () => quarantine.count
  )
  metrics.gauge(
    'anneal_quarantined_bytes',
    'Bytes of the versions that are set aside here',
    () => quarantine.bytes
  )
  metrics.count(
    'anneal_resurrection_alarms_total',
    'Versions that came up again after all other replicas had done away with them, and were set aside',
    () => reception.counters.resurrections
  )
  metrics.count(
    'anneal_arrivals_consulted_total',
    'Objects that arrived and about which the other replicas were asked first',
    () => reception.counters.consultations
  )
  metrics.count(
    'anneal_arrivals_regained_total',
    'Versions that had been lost here and were taken again',
    () => reception.counters.regained
  )
  metrics.count(
    'anneal_arrivals_refused_total',
    'Objects that were not taken for now, since not all other replicas could be asked',
    () => reception.counters.refused
  )
}

function describeWatermarks(metrics: NodeMetrics, sources: HealingSources): void {
  let latest: WatermarkReport | null = null
  let latestMs = 0
  // One look at all partitions serves all gauges of a scrape.
  const report = () => {
    const { nowMs } = sources.watermarkAges
    if (latest === null || nowMs - latestMs > oneScrapeMs) {
      latest = watermarkReport(sources)
      latestMs = nowMs
    }
    return latest
  }
  metrics.gauge(
    'anneal_watermark_partitions_unproven',
    'Partitions in which some pair of replicas has proven nothing yet, so that no tombstone can be collected',
    () => report().unproven
  )
  metrics.gauge(
    'anneal_watermark_partitions_held_up',
    'Partitions in which some pair of replicas has not proven yet all that was written',
    () => report().heldUp
  )
  metrics.gauge(
    'anneal_watermark_held_up_seconds',
    'For how long, at the most, the watermark that waits longest has been held up; 0: none is',
    () => report().oldestSeconds ?? 0
  )
  metrics.gauge(
    'anneal_watermark_members_unheard',
    'Members that no report was ever heard of: what they wrote can not be proven until there is one',
    () => report().membersUnheard.length
  )
  metrics.gauge(
    'anneal_watermark_partitions_behind',
    'Partitions in which peers have proven more than this node can answer for: it serves no reads of them',
    () => sources.arriving.watermarks.partitionsBehind
  )
}

function describeScrub(metrics: NodeMetrics, { scrubbed }: NodeRepair): void {
  metrics.count(
    'anneal_scrub_rows_total',
    'Stored rows that were read again and checked',
    () => scrubbed.rows
  )
  metrics.count(
    'anneal_scrub_damaged_leaves_total',
    'Leaves that were not what their rows add up to, or held a damaged row',
    () => scrubbed.leaves
  )
  metrics.count(
    'anneal_scrub_rounds_total',
    'Times that all stored rows were checked',
    () => scrubbed.rounds
  )
}
