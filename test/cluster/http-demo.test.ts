import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from './cluster-process.ts'
import { jsonOf, send } from './http-request.ts'
import { runAnneal, spawnAnneal } from './run-anneal.ts'

const startTimeoutMs = 30_000

/** The first of `count` neighbouring ports that nobody listens on. */
async function portsInARow(count: number): Promise<number> {
  for (;;) {
    const [first = 0] = await freePorts(1)
    const row = Array.from({ length: count }, (_, index) => first + index)
    if ((await Promise.all(row.map(isFree))).every(Boolean)) return first
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Everything on stdout up to and with the line that matches. Errors: rejects when the process ends first. */
function printed(child: ChildProcess, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    let errors = ''
    const timer = setTimeout(
      () => reject(new Error(`no ${wanted} in: ${text}${errors}`)),
      startTimeoutMs
    )
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (!wanted.test(text)) return
      clearTimeout(timer)
      resolve(text)
    })
    child.once('close', () => {
      clearTimeout(timer)
      reject(new Error(`ended: ${text}${errors}`))
    })
  })
}

function ended(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)))
}

test('the demo says where it is, serves, and leaves nothing behind on Ctrl-C', async () => {
  const http = await portsInARow(6)
  const ports = ['--http-port', `${http}`, '--peer-port', `${http + 3}`]
  const child = spawnAnneal(['demo', ...ports])
  const end = ended(child)
  try {
    const text = await printed(child, /Ctrl-C/)
    for (let i = 0; i < 3; i++) assert.ok(text.includes(`http://127.0.0.1:${http + i}`), text)
    assert.match(text, /curl -X PUT/)
    assert.match(text, /Dashboard: http/)
    const directory = /Data: +(\S+)/.exec(text)?.[1] ?? ''
    assert.ok(existsSync(directory), text)
    const pids = [...text.matchAll(/^ +n\d .* (\d+)$/gm)].map((match) => Number(match[1]))
    assert.equal(pids.length, 3)

    const path = '/kv/demo/greeting'
    const put = await send(`http://127.0.0.1:${http}`, 'PUT', path, { body: 'hello' })
    assert.equal(put.status, 204)
    assert.equal((await send(`http://127.0.0.1:${http + 1}`, 'GET', path)).text, 'hello')
    const status = await send(`http://127.0.0.1:${http + 2}`, 'GET', '/admin/status')
    assert.match(JSON.stringify(jsonOf(status)), /"zone":"z1"/)

    // A second demo on these ports says which one is taken, and disturbs nothing.
    const second = await runAnneal(['demo', ...ports])
    assert.equal(second.exitCode, 1)
    assert.match(second.stderr, RegExp(`${http}\\b`))

    child.kill('SIGINT')
    assert.equal(await end, 0)
    assert.ok(!existsSync(directory), `${directory} is still there`)
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
    for (let i = 0; i < 6; i++) assert.ok(await isFree(http + i))
  } finally {
    child.kill('SIGTERM')
    await Promise.race([end, sleep(10_000)])
  }
})
