import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, statfs, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { freePorts } from './cluster-process.ts'
import { call, describe, get, problemOf, put } from './kv-client.ts'
import { ServerProcess } from './server-process.ts'

const run = promisify(execFile)
const mebi = 1024 * 1024
const diskBytes = 200 * mebi
const ballastBytes = 60 * mebi
// LevelDB needs room for what it is rewriting, and keeps the old files for as long as somebody walks over them.
const minFreeBytes = 64 * mebi
const leftBytes = 44 * mebi
const valueBytes = 200 * 1024

// A disk of this size is a tmpfs, and only root may mount one.
const isRoot = process.getuid?.() === 0
const skip = isRoot ? false : 'NOT TESTED: a small disk can only be mounted by root'

let disk = ''
let node: ServerProcess

before(async () => {
  if (!isRoot) return
  disk = await mkdtemp(join(tmpdir(), 'anneal-disk-'))
  await run('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes}`, 'tmpfs', disk])
  await writeFile(join(disk, 'ballast'), Buffer.alloc(ballastBytes, 1))
  const [http = 0, peer = 0] = await freePorts(2)
  node = new ServerProcess({
    id: 'n1',
    data: join(disk, 'n1'),
    http: `127.0.0.1:${http}`,
    peer: `127.0.0.1:${peer}`,
    seeds: [],
    set: [
      'replication.n=1',
      `limits.minFreeDiskBytes=${minFreeBytes}`,
      'storage.writeBufferBytes=1MiB'
    ]
  })
  await node.start()
})

after(async () => {
  if (!isRoot) return
  await node?.end('SIGKILL')
  await run('umount', ['-l', disk]).catch(() => {})
  await rm(disk, { recursive: true, force: true })
})

async function freeBytes(): Promise<number> {
  const { bavail, bsize } = await statfs(disk)
  return bavail * bsize
}

/** Where the log goes on after the last line of this kind. */
function afterLast(pattern: RegExp): number {
  return node.log.findLastIndex(({ msg }) => pattern.test(msg)) + 1
}

test('a disk that fills up refuses writes early, serves reads, and takes writes again', {
  skip
}, async (t) => {
  const stored = new Map<string, Buffer>()
  let number = 0
  /** Writes as fast as it goes until something is refused. */
  const fill = async () => {
    for (;;) {
      const path = `/kv/disk/${number++}`
      const value = randomBytes(valueBytes)
      const answer = await put(node.url, path, value)
      if (answer.status !== 204) return answer
      stored.set(path, value)
    }
  }
  const assertFull = async () => {
    for (const refused of await Promise.all(Array.from({ length: 8 }, fill))) {
      assert.equal(refused.status, 507, `${describe(refused)}\n${node.lastLines()}`)
      const { code, detail } = problemOf(refused)
      assert.equal(code, 'disk_full')
      assert.match(String(detail), /free/)
    }
  }
  const assertAllThere = async () => {
    for (const [path, value] of stored) {
      const read = await get(node.url, path)
      assert.ok(read.status === 200 && read.body.equals(value), `${path}: ${describe(read)}`)
    }
  }

  await assertFull()
  const before = stored.size
  t.diagnostic(
    `${before} values were stored, ${Math.round((await freeBytes()) / mebi)} MiB are free`
  )
  assert.ok(before > 20, `refused after ${before} values`)
  assert.ok(
    (await freeBytes()) > minFreeBytes / 2,
    `only ${await freeBytes()} bytes were left free`
  )
  // LevelDB frees some space by itself when it is done with a log: nearly full must stay so while it is looked at.
  await writeFile(join(disk, 'more'), Buffer.alloc(Math.max(0, (await freeBytes()) - leftBytes), 1))
  await node.logged(/nearly full/, afterLast(/room again/))
  assert.equal((await call(node.url, '/kv/disk/0', { method: 'DELETE' })).status, 507)
  await assertAllThere()
  assert.equal(await node.readiness(), 200)
  assert.match((await node.logged(/nearly full/)).msg, /free some space/)

  const from = afterLast(/nearly full/)
  await truncate(join(disk, 'ballast'), 0)
  await truncate(join(disk, 'more'), 0)
  await node.logged(/room again/, from)
  await assertFull()
  assert.ok(stored.size > before, 'nothing was taken after space was freed')
  await assertAllThere()
  await node.end('SIGKILL')
  await node.start()
  await assertAllThere()
})
