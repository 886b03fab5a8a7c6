import { randomUUID } from 'node:crypto'
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { call, describe, get, type KvAnswer } from '../cluster/kv-client.ts'
import type { Arena } from './arena.ts'
import { runCommand } from './command.ts'
import type { LaunchedProcess } from './launched-process.ts'
import { bucket } from './oracle.ts'
import type { Scenario } from './scenario.ts'

const diskMib = 64
const mib = 1024 * 1024
/** Less than the node keeps free by default, 5 % of this disk, and more than LevelDB needs to go on for a while. */
const nearlyFullBytes = 2 * mib
const endSeconds = 60
const valueBytes = 2000
const noticeSeconds = 30
const victimNumber = 1

/**
 * The disk of one node fills up. By default the node refuses writes in time and goes on reading; without that reserve
 * LevelDB meets the full disk, and the node has to stop, say why, and come back with everything once there is room.
 */
export const fullDiskScenario: Scenario = {
  name: 'full-disk',
  what: 'a full disk under one node, met by LevelDB, or refused early',
  rounds: 4,
  quickRounds: 2,
  needs: ['namespaces'],
  async run(arena) {
    const set = ['storage.writeBufferBytes=65536']
    const cluster = await arena.plan({ set })
    const victim = cluster.node(victimNumber)
    const disk = await mountSmallDisk(arena, victim)
    await arena.begin()
    while (arena.roundsDone < arena.rounds) {
      const isReserved = arena.roundsDone % 2 === 0
      await victim.end('SIGTERM')
      await victim.start(isReserved ? [] : ['limits.minFreeDiskBytes=0'])
      await cluster.ready()
      const what = isReserved
        ? await refusedEarly(arena, victim, disk)
        : await metByDatabase(arena, victim, disk)
      await arena.judge()
      arena.roundDone(what)
    }
  }
}

async function mountSmallDisk(arena: Arena, node: LaunchedProcess): Promise<string> {
  const disk = join(arena.cluster.directory, node.id)
  mkdirSync(disk, { recursive: true })
  await runCommand('mount', '-t', 'tmpfs', '-o', `size=${diskMib}m`, 'tmpfs', disk)
  arena.undo(async () => {
    await runCommand('umount', disk)
  })
  return disk
}

async function refusedEarly(arena: Arena, victim: LaunchedProcess, disk: string): Promise<string> {
  const from = victim.log.length
  const before = await put(victim, 'all', 'written-before')
  arena.expect(before.status === 204, `the disk has room, and yet: ${describe(before)}`)
  fill(disk, nearlyFullBytes)
  await victim.logged(/nearly full/, from, noticeSeconds)
  await arena.pass(1000)
  const refused = await put(victim, 'all')
  arena.expect(
    refused.status === 507 || refused.status === 503,
    `a write to all replicas, one with a full disk, was answered ${describe(refused)}`
  )
  const written = await put(victim, 'quorum', 'written-meanwhile')
  arena.expect(written.status === 204, `two disks have room, and yet: ${describe(written)}`)
  const read = await get(victim.url, `/kv/${bucket}-disk/written-before?r=one`)
  arena.expect([200, 300].includes(read.status), `reads were to go on: ${describe(read)}`)
  arena.expect(victim.isRunning, `${victim.id} ended though it keeps a reserve`)
  free(disk)
  await victim.logged(/room again/, from, noticeSeconds)
  await victim.until('takes writes', async () => (await put(victim, 'all')).status === 204)
  return 'writes refused early, reads went on, writes went on once there was room'
}

async function metByDatabase(arena: Arena, victim: LaunchedProcess, disk: string): Promise<string> {
  const from = victim.log.length
  victim.mayEnd = true
  fill(disk, 0)
  const ending = await endOf(victim)
  const said = victim.log
    .slice(from)
    .find(({ msg, ['reason']: reason }) => /disk|space/i.test(`${msg} ${reason}`))
  arena.expect(
    ending === 1 && said !== undefined,
    `with a full disk ${victim.id} ended with ${ending}\n${victim.lastLines()}`
  )
  victim.spawn(['limits.minFreeDiskBytes=0'])
  const again = await endOf(victim)
  const canStart = again === 'running'
  arena.expect(
    canStart || (again === 1 && /disk|space/i.test(victim.lastLines())),
    `on a full disk ${victim.id} did not say why it cannot start (${again})\n${victim.lastLines()}`
  )
  await victim.end('SIGKILL')
  free(disk)
  return `stopped by the full disk with exit code ${ending}, ${canStart ? 'could' : 'could not'} start on it, came back`
}

/** How the process ended, or `running` where it did not within a minute. */
async function endOf(node: LaunchedProcess): Promise<number | string> {
  const untilMs = performance.now() + endSeconds * 1000
  while (node.isRunning && performance.now() < untilMs) {
    if (await node.isReady()) await put(node, 'one')
  }
  return node.isRunning ? 'running' : node.ended
}

/** Random keys, so that what is written blindly again and again does not become siblings. */
function put(node: LaunchedProcess, w: string, key: string = randomUUID()): Promise<KvAnswer> {
  const value = 'x'.repeat(valueBytes)
  return call(node.url, `/kv/${bucket}-disk/${key}?w=${w}`, { method: 'PUT', value })
}

/** Writes a file into the directory until so many bytes of its file system are left. */
function fill(disk: string, leftBytes: number): void {
  const descriptor = openSync(ballastOf(disk), 'a')
  try {
    const { bavail, bsize } = statfsSync(disk)
    let wanted = bavail * bsize - leftBytes
    for (; wanted > 0; wanted -= mib) writeSync(descriptor, Buffer.alloc(Math.min(mib, wanted)))
  } catch (error) {
    // Full is what it is to be; the server may have taken the last page first.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  } finally {
    closeSync(descriptor)
  }
}

function free(disk: string): void {
  rmSync(ballastOf(disk), { force: true })
}

function ballastOf(disk: string): string {
  return join(disk, 'ballast')
}
