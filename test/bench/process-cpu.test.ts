import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCpuMicros, readCpuMicros } from '../../server/bench/process-cpu.ts'

test('user and system time are the fields 14 and 15, whatever the name of the process', () => {
  const rest = 'S 1 2 3 0 -1 4194304 97 0 0 0 250 75 9 9 20 0 11 0 151573'
  for (const name of ['node', 'a b', 'x) S 7 7', '((']) {
    assert.equal(parseCpuMicros(`42 (${name}) ${rest}`), 3_250_000)
  }
  assert.equal(parseCpuMicros('not a stat line'), null)
  assert.equal(parseCpuMicros('42 (node) S 1 2'), null)
})

test('time is told for running processes on Linux and for nothing else', async () => {
  const own = await readCpuMicros([process.pid])
  const used = process.cpuUsage()
  // The two clocks differ by their granularity, 10 ms each for user and system time.
  if (process.platform === 'linux')
    assert.ok(own !== null && own <= used.user + used.system + 20_000)
  else assert.equal(own, null)
  assert.equal(await readCpuMicros([]), null)
  assert.equal(await readCpuMicros([process.pid, 2 ** 30]), null)
})
