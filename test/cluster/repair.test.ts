import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { RepairRunStatus, RepairStatus } from '../../client/repair-types.ts'
import { ClusterProcess } from './cluster-process.ts'
import { parseMetrics } from './parse-metrics.ts'
import { read, repairFrom, treesOf } from './repair-calls.ts'
import { runAnneal } from './run-anneal.ts'

async function expectProblem(answer: Response, status: number, code: string): Promise<void> {
  const problem = (await answer.json()) as { code: string; detail: string }
  assert.deepEqual([answer.status, problem.code], [status, code], problem.detail)
}

describe('repair of real processes', () => {
  let cluster: ClusterProcess

  before(async () => {
    cluster = await ClusterProcess.start({
      set: ['hints.enabled=false', 'readRepair.mode=off', 'cluster.partitions=16']
    })
    for (const node of cluster.nodes) await read(node, '/admin/repair/pause', 'POST')
  })

  after(() => cluster.stop())

  it('brings a node that was down level again, and ships what it missed', async () => {
    const [first, , third] = cluster.nodes
    assert.ok(first && third)
    await third.end('SIGKILL')
    const missed = 200
    await Promise.all(
      Array.from({ length: missed }, async (_, i) => {
        const answer = await fetch(`${first.url}/kv/b/k${i}`, { method: 'PUT', body: `value ${i}` })
        assert.equal(answer.status, 204)
      })
    )
    await third.start()
    await cluster.settled()
    assert.equal((await read<RepairStatus>(third, '/admin/repair')).background.state, 'paused')
    const run = await repairFrom(first)
    assert.deepEqual(
      [run.state, run.differences, run.rowsSent, run.rowsReceived, run.skipped],
      ['done', missed, missed, 0, []]
    )
    assert.deepEqual(run.partitions, { done: 32, total: 32 })
    const trees = await treesOf(first)
    assert.equal(
      trees.reduce((sum, { keys }) => sum + keys, 0),
      missed
    )
    for (const node of cluster.nodes) assert.deepEqual(await treesOf(node), trees)
    for (const { verified } of await treesOf(third, true)) assert.equal(verified, true)
  })

  it('tells what it knows of every partition and peer, and in the status', async () => {
    const [first] = cluster.nodes
    assert.ok(first)
    await repairFrom(first, { mode: 'full', partitions: [3] })
    const { partitions, summary } = await read<RepairStatus>(first, '/admin/repair')
    assert.equal(partitions.length, 32)
    for (const { lastRepaired, state } of partitions) {
      assert.notEqual(lastRepaired, null)
      assert.ok(['equal', 'waiting'].includes(state))
    }
    assert.equal(summary.neverEqual, 0)
    const status = await read<{ hints: object; repair: { state: string } }>(first, '/admin/status')
    assert.equal(status.repair.state, 'paused')
    assert.deepEqual(await read(first, '/admin/hints'), [])
    assert.deepEqual(await read(first, '/admin/hints/flush', 'POST'), [])
  })

  it('refuses what it cannot do, with the reason', async () => {
    const [first] = cluster.nodes
    assert.ok(first)
    const ask = (body: string) =>
      fetch(`${first.url}/admin/repair`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' }
      })
    await expectProblem(await ask('{"partitions":[16]}'), 400, 'bad_parameter')
    await expectProblem(await ask('{"mode":"quick"}'), 400, 'bad_body')
    const unknown = await fetch(`${first.url}/admin/repair/nope`)
    await expectProblem(unknown, 404, 'not_found')
    const cancelled = await fetch(`${first.url}/admin/repair/nope`, { method: 'DELETE' })
    await expectProblem(cancelled, 404, 'not_found')
    const verify = await fetch(`${first.url}/admin/trees?verify=maybe`)
    await expectProblem(verify, 400, 'bad_parameter')
  })

  it('has every metric in the reference, with its type and its labels, and nothing else there', async () => {
    const [first] = cluster.nodes
    assert.ok(first)
    const answer = await fetch(`${first.url}/metrics`)
    const { families, samples } = parseMetrics(await answer.text())
    const own = [...families].filter(([name]) => !/^anneal_(process|nodejs)_/.test(name))
    const documented = new Map(
      readFileSync(join(import.meta.dirname, '../../docs/reference/metrics.md'), 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('| `'))
        .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
        .map(([, name = '', type = '', labels = '']) => [name, { type, labels }])
    )
    assert.deepEqual(
      own.map(([name, { type }]) => `${name} ${type}`).sort(),
      [...documented].map(([name, { type }]) => `${name} ${type}`).sort()
    )
    for (const [name] of own) {
      const labels = new Set<string>()
      for (const sample of samples.keys()) {
        const isOfIt = sample.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '') === name
        if (!isOfIt && sample.replace(/\{.*/, '') !== name) continue
        for (const [, label = ''] of sample.matchAll(/[{,](\w+)="/g)) labels.add(label)
      }
      labels.delete('le')
      const expected = documented.get(name)?.labels.split(', ') ?? []
      for (const label of labels) assert.ok(expected.includes(label), `${name} has ${label}`)
    }
  })

  it('is run and watched from the command line', async () => {
    const [first] = cluster.nodes
    assert.ok(first)
    const { exitCode, stdout } = await runAnneal(['repair', '--all', '--node', first.url])
    assert.equal(exitCode, 0)
    const { runs } = JSON.parse(stdout.toString()) as { runs: RepairRunStatus[] }
    assert.deepEqual(
      runs.map(({ state, rowsSent, rowsReceived }) => [state, rowsSent, rowsReceived]),
      [1, 2, 3].map(() => ['done', 0, 0])
    )
    const resumed = await runAnneal(['repair', 'resume', '--json', '--node', first.url])
    assert.notEqual(JSON.parse(resumed.stdout.toString()).reason, 'paused by an operator')
    const [hints] = JSON.parse(
      (await runAnneal(['hints', '--json', '--node', first.url])).stdout.toString()
    ).nodes
    assert.deepEqual(hints, { node: 'n1', hints: [], failure: null })
  })
})
