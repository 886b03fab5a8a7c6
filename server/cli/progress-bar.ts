import type { RepairRunStatus } from '../../client/repair-types.ts'
import { count, printable, showDuration, showSize } from './table.ts'

const barCells = 16

/** One line that says how far a repair is: its share, what it does a second, and how long it takes. */
export function progressLine(
  run: RepairRunStatus,
  { rowsPerSecond, columns }: { readonly rowsPerSecond: number; readonly columns: number }
): string {
  const fraction = fractionOf(run)
  const filled = Math.round(fraction * barCells)
  const bar = `${'#'.repeat(filled)}${'.'.repeat(barCells - filled)}`
  const eta = run.etaSeconds
  // The most telling first: a narrow terminal cuts off the end.
  const parts = [
    `[${bar}] ${String(Math.floor(fraction * 100)).padStart(3)} %`,
    ...(eta === null ? [] : [`${showDuration(Math.ceil(eta))} left`]),
    `${Math.round(rowsPerSecond)} rows/s`,
    `${run.partitions.done}/${run.partitions.total} partitions`,
    count(run.differences, 'difference')
  ]
  return parts.join('  ').slice(0, Math.max(columns - 1, 1))
}

/** What was done, once it is over. */
export function runSummary(run: RepairRunStatus): string {
  const ended = run.finishedAt === null ? Date.parse(run.startedAt) : Date.parse(run.finishedAt)
  const seconds = Math.max(0, (ended - Date.parse(run.startedAt)) / 1000)
  const compared = `${run.partitions.done} of ${run.partitions.total} partitions compared`
  const found = count(run.differences, 'difference')
  const shipped = `${run.rowsSent} rows sent, ${run.rowsReceived} received`
  const lines = [
    `repair ${run.state}${run.dryRun ? ' (dry run: nothing was shipped)' : ''}: ${compared}, ${found}`,
    `${shipped}, ${showSize(run.dataBytes)} of rows, ${showSize(run.indexBytes)} of index, ${count(run.roundTrips, 'round trip')}, ${seconds.toFixed(1)} s`
  ]
  if (run.skipped.length > 0) lines.push(printable(`not reached: ${run.skipped.join(', ')}`))
  if (run.reason !== null) lines.push(printable(run.reason))
  return lines.join('\n')
}

/** By rows where rows are being shipped, since then partitions end all at once. */
function fractionOf({ partitions, rowsSent, rowsReceived, rowsToShip, state }: RepairRunStatus) {
  if (state === 'done' || partitions.total === 0) return 1
  const shipped = rowsSent + rowsReceived
  const byPartitions = partitions.done / partitions.total
  const byRows = rowsToShip === 0 ? 0 : shipped / (shipped + rowsToShip)
  return Math.min(0.99, Math.max(byPartitions, byRows))
}
