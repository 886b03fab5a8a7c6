import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runBench } from './run-bench.ts'

test('every hint is handed over, with what users notice before, meanwhile and afterwards', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'anneal-test-'))
  try {
    const size = '--hints 300 --value-bytes 50 --connections 4'.split(' ')
    const load = '--load-rate 50 --phase-seconds 1'.split(' ')
    const data = ['--data', directory, '--durability', 'os', '--json']
    const { stdout, stderr, code } = await runBench('hints', ...size, ...load, ...data)
    assert.equal(code, 0, stderr)
    const { hints, hintBytes, phases, errors, proof } = JSON.parse(stdout)
    assert.ok(hints >= 300 && hintBytes >= hints * 50, `${hints} hints of ${hintBytes} bytes`)
    assert.deepEqual(
      phases.map(({ name }: { name: string }) => name),
      ['all nodes up', 'one node down', 'down, hints waiting', 'draining', 'afterwards']
    )
    for (const { name, operations, p99Ms, worst } of phases) {
      assert.ok(operations > 0 && worst.p99Ms >= p99Ms && p99Ms > 0, name)
    }
    assert.deepEqual(errors, {})
    // 20,000 keys are those of the users.
    assert.deepEqual([proof.equal, proof.rows, proof.findings], [true, 20_300, []])
    assert.deepEqual(await readdir(directory), [])
  } finally {
    await rm(directory, { recursive: true })
  }
})
