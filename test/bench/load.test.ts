import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { runLoadBenchmark } from '../../server/bench/load.ts'

test('each durability has a cluster of its own, and reads are measured once', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'anneal-test-'))
  try {
    const steps: string[] = []
    const reports = await runLoadBenchmark(
      {
        subject: {
          kind: 'own',
          durabilities: ['fsync', 'os'],
          directory,
          program: fileURLToPath(new URL('./stub-node.ts', import.meta.url))
        },
        workloads: ['put', 'get'],
        runs: 1,
        seconds: 0.1,
        warmupSeconds: 0.1,
        // The stubs share nothing, so that reads have to go where the writes went.
        connections: 1,
        keys: 20,
        valueBytes: 10,
        threads: 1,
        seed: 1
      },
      { progress: (step) => steps.push(step), signal: new AbortController().signal }
    )
    assert.deepEqual(
      reports.map((report) => [report.workload, report.durability, report.errors]),
      [
        ['put', 'fsync', {}],
        ['get', 'fsync', {}],
        ['put', 'os', {}]
      ]
    )
    const measured = process.platform === 'linux'
    assert.ok(reports.every((report) => (report.serverCpuMicrosPerOp !== null) === measured))
    assert.equal(steps.filter((step) => step.startsWith('starting 3 nodes')).length, 2)
    assert.deepEqual(await readdir(directory), [])
  } finally {
    await rm(directory, { recursive: true })
  }
})
