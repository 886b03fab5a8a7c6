import { setTimeout } from 'node:timers/promises'
import type { AnnealClient } from '../../client/client.ts'
import type { RepairRunStatus } from '../../client/repair-types.ts'
import { CliExit, exitCodes } from './exit.ts'
import { progressLine } from './progress-bar.ts'
import { printable } from './table.ts'
import type { Terminal } from './terminal.ts'

const pollMs = 200
const rateWindowMs = 3000

/** How progress is shown: rewritten on one line of a terminal, as lines on stderr, or not at all. */
export type ProgressStyle = 'bar' | 'lines' | 'none'

/**
 * Asks for a repair until it is over, and shows how far it is. Ctrl-C ends the watching and not the repair.
 *
 * Errors: CliExit after Ctrl-C; AnnealClientError where the node cannot be asked any more.
 */
export async function watchRepair(
  client: AnnealClient,
  id: string,
  terminal: Terminal,
  style: ProgressStyle
): Promise<RepairRunStatus> {
  const interruption = new AbortController()
  const interrupt = () => interruption.abort()
  process.once('SIGINT', interrupt)
  try {
    return await follow(client, id, { terminal, style, signal: interruption.signal })
  } finally {
    process.removeListener('SIGINT', interrupt)
  }
}

interface Following {
  readonly terminal: Terminal
  readonly style: ProgressStyle
  readonly signal: AbortSignal
}

async function follow(
  client: AnnealClient,
  id: string,
  { terminal, style, signal }: Following
): Promise<RepairRunStatus> {
  const samples: { readonly atMs: number; readonly rows: number }[] = []
  for (let poll = 0; ; poll++) {
    const run = await client.repairRun(id)
    const nowMs = performance.now()
    samples.push({ atMs: nowMs, rows: run.rowsSent + run.rowsReceived })
    while ((samples[0]?.atMs ?? nowMs) < nowMs - rateWindowMs) samples.shift()
    const line = progressLine(run, { rowsPerSecond: rateOf(samples), columns: terminal.columns })
    const isOver = run.state !== 'running'
    if (style === 'bar') await terminal.out(isOver ? '\r\u001b[K' : `\r\u001b[K${printable(line)}`)
    else if (style === 'lines' && (isOver || poll % 5 === 0)) terminal.err(`${printable(line)}\n`)
    if (isOver) return run
    await setTimeout(pollMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) {
      const advice = `the repair goes on; \`anneal repair cancel ${id}\` stops it`
      throw new CliExit(exitCodes.failed, style === 'bar' ? `\n${advice}` : advice)
    }
  }
}

function rateOf(samples: readonly { readonly atMs: number; readonly rows: number }[]): number {
  const [first] = samples
  const last = samples.at(-1)
  if (first === undefined || last === undefined || last.atMs <= first.atMs) return 0
  return ((last.rows - first.rows) / (last.atMs - first.atMs)) * 1000
}
