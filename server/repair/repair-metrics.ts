import type { SessionCounters } from '../../repair/session-outcome.ts'
import type { NodeMetrics } from '../node-metrics.ts'
import type { Pacer } from './pacer.ts'
import { backgroundReport, pairReports, pairStates } from './repair-report.ts'
import type { RepairService } from './repair-service.ts'
import type { SessionTotals } from './session-totals.ts'

/** How requests of exchanges ended that brought no answer, by reason. */
export type RequestFailures = ReadonlyMap<string, number>

export interface RepairMetricsSources {
  readonly requestFailures: RequestFailures
  readonly service: RepairService
  readonly pacer: Pacer
  readonly totals: SessionTotals
  /** Wall clock. */
  readonly nowMs: () => number
}

/** What is counted of exchanges, as Prometheus sees it. */
const counted: readonly (readonly [keyof SessionCounters, string, string])[] = [
  ['differences', 'anneal_repair_differences_total', 'Keys found to differ in exchanges'],
  ['rowsSent', 'anneal_repair_rows_sent_total', 'Rows shipped to the peer in exchanges'],
  ['rowsReceived', 'anneal_repair_rows_received_total', 'Rows taken from the peer in exchanges'],
  ['dataBytesSent', 'anneal_repair_data_sent_bytes_total', 'Bytes of rows shipped to the peer'],
  [
    'dataBytesReceived',
    'anneal_repair_data_received_bytes_total',
    'Bytes of rows taken from the peer'
  ],
  [
    'indexBytes',
    'anneal_repair_index_bytes_total',
    'Bytes of exchanges on the wire in both directions, but for the rows'
  ],
  ['keysCompared', 'anneal_repair_keys_compared_total', 'Keys in the partitions compared'],
  ['leavesCompared', 'anneal_repair_leaves_compared_total', 'Leaves of trees looked into'],
  ['roundTrips', 'anneal_repair_round_trips_total', 'Requests of exchanges that were answered'],
  [
    'restarts',
    'anneal_repair_snapshot_mismatches_total',
    'Partitions that began anew since a message spoke of another snapshot'
  ],
  ['refused', 'anneal_repair_rows_refused_total', 'Rows that one side did not take for now'],
  [
    'quarantined',
    'anneal_repair_versions_quarantined_total',
    'Versions that exchanges brought up and that were set aside'
  ]
]

/** Describes repair to Prometheus. */
export function describeRepairMetrics(metrics: NodeMetrics, sources: RepairMetricsSources): void {
  describeExchanges(metrics, sources)
  describeAges(metrics, sources)
  describePace(metrics, sources)
}

function describeExchanges(
  metrics: NodeMetrics,
  { service, totals, requestFailures }: RepairMetricsSources
): void {
  metrics.labelledCount(
    'anneal_repair_request_failures_total',
    'Requests of exchanges that brought no answer, by reason; each is sent again, twice at the most',
    ['reason'],
    () => [...requestFailures].map(([reason, count]) => [{ reason }, count] as const)
  )
  for (const [field, name, help] of counted) {
    metrics.labelledCount(name, help, ['peer'], () =>
      [...totals.byPeer].map(([peer, { counters }]) => [{ peer }, counters[field]] as const)
    )
  }
  metrics.labelledCount(
    'anneal_repair_exchanges_total',
    'Exchanges that this node began and that ended, by outcome',
    ['peer', 'outcome'],
    () =>
      [...totals.byPeer].flatMap(([peer, { ends }]) =>
        Object.entries(ends).map(([outcome, count]) => [{ peer, outcome }, count] as const)
      )
  )
  metrics.labelledCount(
    'anneal_repair_exchanges_answered_total',
    'Exchanges that the peer began with this node and that ended',
    ['peer'],
    () => [...totals.byPeer].map(([peer, { answered }]) => [{ peer }, answered] as const)
  )
  metrics.gauge(
    'anneal_repair_exchanges_in_flight',
    'Exchanges in progress that this node began',
    () => service.exchanges.inFlight.length
  )
  metrics.labelledGauge(
    'anneal_repair_divergence_ratio',
    'Keys that differed among those in the partitions of the last exchange, an estimate of divergence',
    'peer',
    () =>
      [...totals.byPeer].flatMap(([peer, { divergence }]) =>
        divergence === null ? [] : [[peer, divergence] as const]
      )
  )
}

function describeAges(metrics: NodeMetrics, { service, nowMs }: RepairMetricsSources): void {
  metrics.labelledGauge(
    'anneal_repair_oldest_equal_age_seconds',
    'How long ago the partition that waits longest was found equal with the peer; +Inf: never',
    'peer',
    () => oldestAges(service, nowMs())
  )
  metrics.labelledGauge(
    'anneal_repair_partitions',
    'Pairs of a partition and a peer, by state',
    'state',
    () => {
      const counts = new Map<string, number>(pairStates.map((state) => [state, 0]))
      for (const { state } of pairReports(service, nowMs())) {
        counts.set(state, (counts.get(state) ?? 0) + 1)
      }
      return counts
    }
  )
  metrics.labelledGauge(
    'anneal_repair_early_partitions',
    'Partitions that are to be compared with the peer before their time',
    'peer',
    () => [...service.watch.shared.keys()].map((id) => [id, service.ledger.earlyWith(id).length])
  )
}

function oldestAges(service: RepairService, nowMs: number): Iterable<readonly [string, number]> {
  const oldest = new Map<string, number>()
  for (const [peer, partitions] of service.watch.shared) {
    for (const partition of partitions) {
      const { lastEqualMs } = service.ledger.entry(partition, peer)
      const age = lastEqualMs === null ? Number.POSITIVE_INFINITY : (nowMs - lastEqualMs) / 1000
      oldest.set(peer, Math.max(oldest.get(peer) ?? 0, age))
    }
  }
  return oldest
}

function describePace(metrics: NodeMetrics, { service, pacer }: RepairMetricsSources): void {
  metrics.labelledGauge(
    'anneal_repair_pace',
    'The state of background repair: 1 for the one that it is in',
    'state',
    () => {
      const current = backgroundReport(service, pacer).state
      return ['running', 'slowed', 'paused'].map(
        (state) => [state, current === state ? 1 : 0] as const
      )
    }
  )
  metrics.gauge(
    'anneal_repair_rate_bytes_per_second',
    'How much repair and hints may send a second at the moment',
    () => pacer.pace.bytesPerSecond
  )
  metrics.labelledCount(
    'anneal_repair_paced_bytes_total',
    'Bytes that the governor let through: all of them, and those of them to other regions',
    ['scope'],
    () => [
      [{ scope: 'all' }, pacer.passedBytes.all],
      [{ scope: 'across_regions' }, pacer.passedBytes.acrossRegions]
    ]
  )
  metrics.labelledGauge(
    'anneal_foreground_latency_seconds',
    'What requests for one key took within the last second, by percentile; absent where there were too few',
    'percentile',
    () => {
      const { foregroundP99Ms } = pacer.observation
      return foregroundP99Ms === null ? [] : [['99', foregroundP99Ms / 1000]]
    }
  )
  metrics.gauge(
    'anneal_event_loop_delay_seconds',
    'How late the event loop ran what was due, as the governor saw it last',
    () => pacer.observation.eventLoopDelayMs / 1000
  )
}
