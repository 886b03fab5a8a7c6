import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { portsInARow, printed } from './demo-process.ts'
import { jsonOf, send } from './http-request.ts'
import { runAnneal, spawnAnneal } from './run-anneal.ts'

test('a running demo is killed, revived, made to differ and repaired from another terminal', async () => {
  const http = await portsInARow(6)
  const ports = ['--http-port', `${http}`]
  const child = spawnAnneal(['demo', ...ports, '--peer-port', `${http + 3}`])
  const end = once(child, 'close')
  const demo = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await runAnneal(['demo', ...args, ...ports, '--json'])
    assert.equal(exitCode, 0, stderr)
    return JSON.parse(stdout.toString())
  }
  const roots = async (port: number) =>
    jsonOf(await send(`http://127.0.0.1:${port}`, 'GET', '/admin/trees'))
  try {
    const text = await printed(child, /Ctrl-C/)
    assert.match(text, RegExp(`anneal demo repair --http-port ${http}\n`))

    assert.deepEqual(await demo('kill', 'n2'), { killed: 'n2' })
    await assert.rejects(fetch(`http://127.0.0.1:${http + 1}/livez`))
    const early = await runAnneal(['demo', 'diverge', ...ports])
    assert.equal(early.exitCode, 1)
    assert.match(early.stderr, /revive n2/)
    assert.deepEqual(await demo('revive'), { revived: ['n2'] })
    assert.equal((await fetch(`http://127.0.0.1:${http + 1}/livez`)).status, 200)

    // A key from before is on the old copy too, and is nothing that has to be repaired.
    await send(`http://127.0.0.1:${http}`, 'PUT', '/kv/demo/old?w=all', { body: 'kept' })
    const divergence = await demo('diverge', '--keys', '40')
    assert.equal(divergence.diverged, 'n3')
    assert.equal(divergence.keysMissing, 40)
    assert.notDeepEqual(await roots(http), await roots(http + 2))

    const { repairs, partitionsDiffering } = await demo('repair')
    assert.equal(partitionsDiffering, 0)
    assert.deepEqual([repairs.length, repairs[0].rowsReceived, repairs[0].rowsSent], [1, 40, 0])
    assert.deepEqual(await roots(http), await roots(http + 2))
    const status = jsonOf(await send(`http://127.0.0.1:${http}`, 'GET', '/admin/status'))
    assert.doesNotMatch(JSON.stringify(status), /paused by an operator/)

    const unknown = await runAnneal(['demo', 'kill', 'n9', ...ports])
    assert.equal(unknown.exitCode, 2)
    assert.match(unknown.stderr, /it has n1, n2, n3/)
  } finally {
    child.kill('SIGTERM')
    await Promise.race([end, sleep(10_000)])
  }
})
