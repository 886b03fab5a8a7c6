import { readFile } from 'node:fs/promises'

/**
 * A tick of /proc/PID/stat: USER_HZ is 100 on every architecture that Node.js runs on under Linux, whatever the kernel's
 * own timer is.
 */
const microsPerTick = 10_000

/** Fields are numbered from 1 in proc(5); the state, number 3, is the first after the name. */
const stateField = 3
const userTimeField = 14
const systemTimeField = 15

/**
 * User and system time in microseconds that these processes, with all their threads, have used since they started; null
 * where it cannot be told, which is everywhere but on Linux.
 */
export async function readCpuMicros(pids: readonly number[]): Promise<number | null> {
  if (process.platform !== 'linux' || pids.length === 0) return null
  let sum = 0
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null)
    const micros = stat === null ? null : parseCpuMicros(stat)
    if (micros === null) return null
    sum += micros
  }
  return sum
}

/** Reads one line of /proc/PID/stat; null when it is not one. */
export function parseCpuMicros(stat: string): number | null {
  // The name, in brackets, may itself hold brackets and spaces; nothing after its last bracket does.
  const nameEnd = stat.lastIndexOf(') ')
  if (nameEnd < 0) return null
  const fields = stat.slice(nameEnd + 2).split(' ')
  const ticks =
    Number(fields[userTimeField - stateField]) + Number(fields[systemTimeField - stateField])
  return Number.isFinite(ticks) ? ticks * microsPerTick : null
}
