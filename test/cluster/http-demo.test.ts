import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isFree, portsInARow, printed } from './demo-process.ts'
import { jsonOf, send } from './http-request.ts'
import { runAnneal, spawnAnneal } from './run-anneal.ts'

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
