import { randomBytes } from 'node:crypto'
import { open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Check, gradeAbove, gradeBelow } from './doctor-check.ts'
import { showSize } from './table.ts'

const mebi = 1024 * 1024
/** A node with the default limits: 20,000 connections and the files of its database. */
const openFilesWanted = 24_000
const openFilesNeeded = 1024
const fsyncRounds = 20
const fsyncBlockBytes = 4096
const fsyncMs = { warn: 10, fail: 100 }

/** Looks at this machine and at the disk below `directory`; writes one small file there and removes it. */
export async function checkMachine(directory: string): Promise<readonly Check[]> {
  return [nodeVersion(), openFiles(), await freeDisk(directory), await fsyncLatency(directory)]
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

async function freeDisk(directory: string): Promise<Check> {
  try {
    const { bavail, blocks, bsize } = await statfs(directory)
    const free = bavail * bsize
    const needed = Math.min(256 * mebi, blocks * bsize * 0.05)
    const outcome = gradeBelow(free, { warn: 4 * needed, fail: needed })
    const share = blocks === 0 ? 0 : Math.round((bavail / blocks) * 100)
    const finding = `${showSize(free)} free (${share} %) in ${directory}`
    const refused = `a node refuses writes below ${showSize(needed)}`
    return machineCheck('free disk', outcome, finding, `${refused}; make room or move the data`)
  } catch (thrown) {
    return unusable('free disk', directory, thrown)
  }
}

async function fsyncLatency(directory: string): Promise<Check> {
  try {
    const latenciesMs = await measureFsync(directory)
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
async function measureFsync(directory: string): Promise<readonly number[]> {
  const path = join(directory, `.anneal-doctor-${process.pid}`)
  const file = await open(path, 'wx')
  try {
    const block = randomBytes(fsyncBlockBytes)
    const latenciesMs: number[] = []
    for (let round = 0; round < fsyncRounds; round++) {
      const startedAt = performance.now()
      await file.write(block)
      await file.sync()
      latenciesMs.push(performance.now() - startedAt)
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
