import { randomBytes } from 'node:crypto'
import { type FileHandle, open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Check, gradeAbove, gradeBelow } from './doctor-check.ts'
import { showSize } from './table.ts'

const mebi = 1024 * 1024
/** A node with the default limits: 20,000 connections and the files of its database. */
export const openFilesWanted = 24_000
const openFilesNeeded = 1024
const fsyncRounds = 20
const fsyncBlockBytes = 4096
const fsyncMs = { warn: 10, fail: 100 }

/** What is measured here, so that a test can have a full disk and a slow one. */
export interface MachineProbes {
  /** Of the file system that holds a directory, in bytes. */
  readonly space: (directory: string) => Promise<{ readonly free: number; readonly size: number }>
  readonly sync: (file: FileHandle) => Promise<void>
  readonly nowMs: () => number
}

const realProbes: MachineProbes = {
  space: async (directory) => {
    const { bavail, blocks, bsize } = await statfs(directory)
    return { free: bavail * bsize, size: blocks * bsize }
  },
  sync: (file) => file.sync(),
  nowMs: () => performance.now()
}

/** Looks at this machine and at the disk below `directory`; writes one small file there and removes it. */
export async function checkMachine(
  directory: string,
  probes: MachineProbes = realProbes
): Promise<readonly Check[]> {
  const disk = await freeDisk(directory, probes)
  return [nodeVersion(), openFiles(), disk, await fsyncLatency(directory, probes)]
}

function machineCheck(
  name: string,
  outcome: Check['outcome'],
  finding: string,
  advice: string
): Check {
  return { name, outcome, finding, advice: outcome === 'ok' ? '' : advice, isAboutCluster: false }
}

function nodeVersion(): Check {
  const major = Number.parseInt(process.versions.node, 10)
  const outcome = major >= 24 ? 'ok' : 'warn'
  const advice = 'Anneal is tested with Node.js 24; upgrade when you can'
  return machineCheck('Node.js', outcome, process.version, advice)
}

function openFiles(): Check {
  const limit = openFileLimit()
  if (limit === null) {
    return machineCheck('open files', 'warn', 'the limit is not known here', 'look at `ulimit -n`')
  }
  const thresholds = { warn: openFilesWanted, fail: openFilesNeeded }
  const outcome = gradeBelow(limit, thresholds)
  const finding = `up to ${limit === Number.POSITIVE_INFINITY ? 'any number' : limit}`
  const advice = `raise it to ${openFilesWanted} or more: \`ulimit -n 65536\`, or LimitNOFILE= in a systemd unit`
  return machineCheck('open files', outcome, finding, advice)
}

/** The soft limit of this process, which Node has raised to the hard one, as it does in a node. */
function openFileLimit(): number | null {
  // Without this the report looks up the names of all connections.
  Object.assign(process.report, { excludeNetwork: true })
  const report: { userLimits?: { open_files?: { soft?: unknown } } } = process.report.getReport()
  const soft = report.userLimits?.open_files?.soft
  if (soft === 'unlimited') return Number.POSITIVE_INFINITY
  const limit = Number(soft)
  return Number.isInteger(limit) ? limit : null
}

/** Grades the free space of a disk as a node with the default settings does. */
export function freeSpace(free: number, size: number) {
  const needed = Math.min(256 * mebi, size * 0.05)
  const outcome = gradeBelow(free, { warn: 4 * needed, fail: needed })
  const share = size === 0 ? 0 : Math.round((free / size) * 100)
  return { outcome, needed, shown: `${showSize(free)} free (${share} %)` }
}

async function freeDisk(directory: string, { space }: MachineProbes): Promise<Check> {
  try {
    const { free, size } = await space(directory)
    const { outcome, needed, shown } = freeSpace(free, size)
    const refused = `a node refuses writes below ${showSize(needed)}`
    const advice = `${refused}; make room or move the data`
    return machineCheck('free disk', outcome, `${shown} in ${directory}`, advice)
  } catch (thrown) {
    return unusable('free disk', directory, thrown)
  }
}

async function fsyncLatency(directory: string, probes: MachineProbes): Promise<Check> {
  try {
    const latenciesMs = await measureFsync(directory, probes)
    const median = latenciesMs[Math.floor(latenciesMs.length / 2)] ?? 0
    const worst = latenciesMs.at(-1) ?? 0
    const finding = `median ${median.toFixed(2)} ms, worst of ${fsyncRounds} ${worst.toFixed(2)} ms`
    const advice =
      'every durable write waits for this: use a disk with a write cache that survives power loss, ' +
      'or accept durability: os'
    return machineCheck('fsync', gradeAbove(median, fsyncMs), finding, advice)
  } catch (thrown) {
    return unusable('fsync', directory, thrown)
  }
}

/** Ascending latencies of appending one block and syncing it. */
async function measureFsync(
  directory: string,
  { sync, nowMs }: MachineProbes
): Promise<readonly number[]> {
  const path = join(directory, `.anneal-doctor-${process.pid}`)
  const file = await open(path, 'wx')
  try {
    const block = randomBytes(fsyncBlockBytes)
    const latenciesMs: number[] = []
    for (let round = 0; round < fsyncRounds; round++) {
      const startedAt = nowMs()
      await file.write(block)
      await sync(file)
      latenciesMs.push(nowMs() - startedAt)
    }
    return latenciesMs.sort((a, b) => a - b)
  } finally {
    await file.close()
    await rm(path, { force: true })
  }
}

function unusable(name: string, directory: string, thrown: unknown): Check {
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  const advice = `name a directory with --data that exists and may be written to, not ${directory}`
  return machineCheck(name, 'fail', reason, advice)
}
