import { setTimeout as sleep } from 'node:timers/promises'
import type { AnnealClient } from '../../client/client.ts'
import type { RepairRunStatus } from '../../client/repair-types.ts'
import { type Foreground, reportOf, watchForeground } from './foreground.ts'
import type { GeneratorPlan, GeneratorPool } from './generator.ts'
import { readCpuMicros } from './process-cpu.ts'
import type { RepairRunReport } from './repair-report.ts'

const pollMsMin = 20
const pollMsMax = 500
const warmupMs = 1000

/** A repair to be measured. */
export interface MeasuredRepair {
  /** Of the node that is asked. */
  readonly client: AnnealClient
  /** All server processes. */
  readonly pids: readonly number[]
  readonly rowsNeeded: number
}

/** One repair of all that a node shares with the others. Errors: rejects where it fails or reaches not everybody. */
export async function repairOnce(
  client: AnnealClient,
  signal: AbortSignal
): Promise<RepairRunStatus> {
  const id = await client.startRepair()
  // What is measured is not to be disturbed by the asking; how long it took the run says itself.
  for (let pollMs = pollMsMin; ; pollMs = Math.min(pollMs * 1.5, pollMsMax)) {
    const run = await client.repairRun(id)
    if (run.state !== 'running') return checked(run)
    await sleep(pollMs, undefined, { signal })
  }
}

function checked(run: RepairRunStatus): RepairRunStatus {
  if (run.state === 'done' && run.skipped.length === 0) return run
  const reached = run.skipped.length === 0 ? '' : `, not reached: ${run.skipped.join(', ')}`
  throw new Error(`the repair is ${run.state}: ${run.reason ?? 'no reason given'}${reached}`)
}

/** The same, measured. */
export async function measureRepair(
  { client, pids, rowsNeeded }: MeasuredRepair,
  signal: AbortSignal
): Promise<RepairRunReport> {
  const before = await readCpuMicros(pids)
  const run = await repairOnce(client, signal)
  const after = await readCpuMicros(pids)
  const { startedAt, finishedAt, roundTrips, indexBytes, dataBytes, rowsSent, rowsReceived } = run
  return {
    seconds: (Date.parse(finishedAt ?? startedAt) - Date.parse(startedAt)) / 1000,
    roundTrips,
    indexBytes,
    dataBytes,
    rowsShipped: rowsSent + rowsReceived,
    rowsNeeded,
    serverCpuSeconds: before === null || after === null ? null : (after - before) / 1e6,
    foreground: null
  }
}

export interface ForegroundLoad {
  readonly generator: GeneratorPool
  readonly plan: GeneratorPlan
  /** How long the load runs before the repair begins, after a second that does not count. */
  readonly beforeMs: number
}

/** The same while users are served, with what they notice of it. */
export async function measureUnderLoad(
  measured: MeasuredRepair,
  { generator, plan, beforeMs }: ForegroundLoad,
  signal: AbortSignal
): Promise<RepairRunReport> {
  const script = async ({ phase }: Foreground): Promise<RepairRunReport> => {
    await sleep(warmupMs, undefined, { signal })
    await phase('before', () => sleep(beforeMs, undefined, { signal }))
    return phase('during', () => measureRepair(measured, signal))
  }
  const { result, phases, errors } = await watchForeground(generator, plan, script, signal)
  const [before, during] = phases.map(({ latency }) => reportOf(latency))
  if (before === undefined || during === undefined) throw new Error('the load was not watched')
  return { ...result, foreground: { before, during, errors: Object.fromEntries(errors) } }
}
