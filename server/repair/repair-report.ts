import type { Pace } from '../../repair/governor.ts'
import type { LedgerEntry } from '../../repair/ledger.ts'
import type { RunStatus } from '../../repair/repair-run.ts'
import type { SessionCounters } from '../../repair/session-outcome.ts'
import type { Pacer } from './pacer.ts'
import type { RepairService } from './repair-service.ts'

export const pairStates = ['equal', 'differs', 'running', 'waiting', 'never'] as const
export type PairState = (typeof pairStates)[number]

export interface PairReport {
  readonly partition: number
  readonly peer: string
  readonly state: PairState
  /** When the two were last found equal. */
  readonly lastRepaired: string | null
  readonly differences: number
  readonly rowsSent: number
  readonly rowsReceived: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly exchanges: number
  readonly roundTrips: number
  readonly reason: string | null
}

export interface PairSummary {
  /** Pairs of a partition and a peer, by state. */
  readonly byState: Readonly<Record<PairState, number>>
  /** The age of the oldest proof that two replicas are equal, by wall clock; null: some were never compared. */
  readonly oldestEqualSeconds: number | null
  readonly neverEqual: number
}

/** Every partition that this node shares, with every peer that it shares it with. */
export function pairReports(service: RepairService, nowMs: number): readonly PairReport[] {
  const running = new Map(service.exchanges.inFlight.map((exchange) => [exchange.peer, exchange]))
  const staleMs = service.intervalMs * staleIntervals
  return service.watch.look().flatMap(({ id, partitions }) => {
    const exchange = running.get(id)
    const inExchange = new Set(exchange?.partitions)
    const waits = service.reasonFor(id)
    return partitions.map((partition) => {
      const entry = service.ledger.entry(partition, id)
      const isRunning = inExchange.has(partition)
      const state = isRunning ? 'running' : stateOf(entry, nowMs, staleMs)
      return {
        partition,
        peer: id,
        state,
        lastRepaired: timeOf(entry.lastEqualMs),
        differences: entry.differences,
        rowsSent: entry.rowsSent,
        rowsReceived: entry.rowsReceived,
        bytesSent: entry.bytesSent,
        bytesReceived: entry.bytesReceived,
        exchanges: entry.exchanges,
        roundTrips: entry.roundTrips,
        reason: isRunning ? null : reasonOf(entry, waits)
      }
    })
  })
}

export function summarizePairs(service: RepairService, nowMs: number): PairSummary {
  const byState = { equal: 0, differs: 0, running: 0, waiting: 0, never: 0 }
  let oldestMs: number | null = null
  let neverEqual = 0
  for (const { state, lastRepaired } of pairReports(service, nowMs)) {
    byState[state]++
    if (lastRepaired === null) neverEqual++
    else oldestMs = Math.min(oldestMs ?? Number.POSITIVE_INFINITY, Date.parse(lastRepaired))
  }
  const ageSeconds = oldestMs === null ? null : Math.max(0, (nowMs - oldestMs) / 1000)
  return { byState, neverEqual, oldestEqualSeconds: neverEqual > 0 ? null : ageSeconds }
}

/** What background repair does at the moment. */
export function backgroundReport(service: RepairService, pacer: Pacer) {
  const { pace, observation } = pacer
  const held = service.held
  return {
    state: held === '' ? pace.state : 'paused',
    reason: held === '' ? pace.reason || null : held,
    bytesPerSecond: Math.round(pace.bytesPerSecond),
    bytesPerSecondMax: pacer.bytesPerSecondMax,
    foregroundP99Ms: observation.foregroundP99Ms,
    eventLoopDelayMs: observation.eventLoopDelayMs,
    intervalSeconds: service.intervalMs / 1000
  }
}

/** Repair in a few figures, for the status of a node. */
export function statusReport(service: RepairService, pacer: Pacer, nowMs: number) {
  const { state, reason } = backgroundReport(service, pacer)
  const { byState, oldestEqualSeconds, neverEqual } = summarizePairs(service, nowMs)
  return {
    state,
    reason,
    oldestEqualSeconds: oldestEqualSeconds === null ? null : Math.round(oldestEqualSeconds),
    neverEqual,
    exchangesInFlight: service.exchanges.inFlight.length,
    partitions: byState
  }
}

/** A run as the interface shows it. One that is in progress waits while the governor pauses repair. */
export function runReport(status: RunStatus, pace: Pace) {
  const isHeld = status.state === 'running' && pace.state === 'paused'
  const reason = isHeld ? `paused: ${pace.reason}` : status.reason
  return {
    id: status.id,
    mode: status.mode,
    dryRun: status.dryRun,
    state: status.state,
    reason: reason || null,
    partitions: status.partitions,
    skipped: status.skipped,
    ...countersReport(status.counters),
    startedAt: timeOf(status.startedAtMs),
    finishedAt: timeOf(status.finishedAtMs),
    etaSeconds: status.etaSeconds === null ? null : Number(status.etaSeconds.toFixed(1))
  }
}

function countersReport(counters: SessionCounters) {
  const dataBytes = counters.dataBytesSent + counters.dataBytesReceived
  return {
    keysCompared: counters.keysCompared,
    differences: counters.differences,
    rowsSent: counters.rowsSent,
    rowsReceived: counters.rowsReceived,
    rowsToShip: counters.rowsToShip,
    bytesSent: counters.dataBytesSent,
    bytesReceived: counters.dataBytesReceived,
    indexBytes: counters.indexBytes,
    dataBytes,
    roundTrips: counters.roundTrips,
    quarantined: counters.quarantined,
    refused: counters.refused
  }
}

/** All that `GET /admin/repair` answers. */
export function repairReport(service: RepairService, pacer: Pacer, nowMs: number) {
  const { byState, ...ages } = summarizePairs(service, nowMs)
  return {
    background: backgroundReport(service, pacer),
    summary: { ...ages, partitions: byState },
    peers: service.watch.look().map(({ id, up, partitions }) => ({
      peer: id,
      up,
      partitions: partitions.length,
      early: service.ledger.earlyWith(id).length,
      reason: service.reasonFor(id) || null
    })),
    exchanges: service.exchanges.inFlight.map(
      ({ peer, partitions, run, startedAtMs, counters }) => ({
        peer,
        run,
        partitions: partitions.length,
        startedAt: timeOf(startedAtMs),
        ...countersReport(counters)
      })
    ),
    runs: service.runs.list().map(({ id, state, mode, startedAtMs, finishedAtMs }) => ({
      id,
      state,
      mode,
      startedAt: timeOf(startedAtMs),
      finishedAt: timeOf(finishedAtMs)
    })),
    partitions: pairReports(service, nowMs)
  }
}

/** Intervals after which a pair that was equal counts as waiting for its next comparison. */
const staleIntervals = 2

function stateOf(entry: LedgerEntry, nowMs: number, staleMs: number): PairState {
  if (entry.early !== null) return 'waiting'
  if (entry.last === 'differs') return 'differs'
  if (entry.lastEqualMs === null) return entry.reason === '' ? 'never' : 'waiting'
  return nowMs - entry.lastEqualMs > staleMs ? 'waiting' : 'equal'
}

function reasonOf(entry: LedgerEntry, waits: string): string | null {
  const why = [entry.early ?? '', entry.reason, waits].filter((part) => part !== '')
  return why.length === 0 ? null : why.join('; ')
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
