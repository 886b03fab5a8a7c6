import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runBench } from './run-bench.ts'

test('every scenario is repaired exactly, proven and reported, and nothing is left', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'anneal-test-'))
  try {
    const size = '--keys 300 --value-bytes 50 --runs 1 --connections 4'.split(' ')
    const load = '--load-rate 50 --load-seconds 1'.split(' ')
    const scenarios = ['--scenarios', '0,5,empty,7+load']
    const data = ['--data', directory, '--durability', 'os', '--json']
    const { stdout, stderr, code } = await runBench(
      'repair',
      ...size,
      ...load,
      ...scenarios,
      ...data
    )
    assert.equal(code, 0, stderr)
    const { scenarios: reports, proof } = JSON.parse(stdout)
    assert.deepEqual(
      reports.map((report: { runs: object[] }) => report.runs.length),
      [1, 1, 1, 1]
    )
    const [none, few, empty, loaded] = reports
    assert.equal(none.rowsShipped.max, 0)
    assert.ok(none.indexBytes.median > 0)
    assert.equal(few.rowsShipped.median, 5)
    assert.ok(few.dataBytes.median >= 5 * 50)
    // The keys of the load are there too.
    assert.equal(empty.rowsShipped.median, 600)
    assert.equal(empty.rowsShippedOverNeeded.median, 1)
    assert.ok(loaded.rowsShipped.min >= 7)
    for (const { foreground } of loaded.runs) {
      assert.ok(foreground.before.operations > 0)
      assert.deepEqual(foreground.errors, {})
    }
    assert.deepEqual([proof.equal, proof.rows, proof.findings], [true, 600, []])
    assert.deepEqual(await readdir(directory), [])
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('scenarios that cannot be are refused before anything starts', async () => {
  const tooMany = await runBench('repair', '--keys', '10', '--scenarios', '3,11')
  assert.equal(tooMany.code, 2)
  assert.match(tooMany.stderr, /11 keys cannot be stale where there are 10/)
  const unknown = await runBench('repair', '--scenarios', '3,most')
  assert.equal(unknown.code, 2)
  assert.match(unknown.stderr, /unlike: most/)
})
