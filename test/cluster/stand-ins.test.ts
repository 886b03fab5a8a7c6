import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { expectProblem } from './expect-problem.ts'
import { describe, jsonOf, send } from './http-request.ts'

const path = '/kv/outage/key'
let cluster: ClusterProcess
let away = ''

before(async () => {
  cluster = await ClusterProcess.start({ nodes: 5, set: ['repair.enabled=false'] })
  const seen = jsonOf<{ replicas: { node: string }[] }>(
    await send(cluster.urls[0] ?? '', 'GET', '/admin/keys/outage/key')
  )
  const ids = seen.replicas.map(({ node }) => node)
  const replicas = cluster.nodes.filter(({ id }) => ids.includes(id))
  away = cluster.nodes.find(({ id }) => !ids.includes(id))?.url ?? ''
  for (const replica of replicas.slice(1)) await replica.end('SIGKILL')
  await cluster.settled()
})

after(() => cluster?.stop())

test('a write that stand-ins keep says so, and is read', async () => {
  const written = await send(away, 'PUT', path, { body: 'x' })
  assert.equal(written.status, 204, describe(written))
  assert.match(written.headers['x-hinted'] ?? '', /^[12]$/)
  const context = written.headers['causal-context'] ?? ''
  const headers = { 'Causal-Context': context }
  const again = await send(away, 'PUT', `${path}?return=body&w=all`, { body: 'y', headers })
  assert.deepEqual([again.status, again.headers['x-hinted']], [200, '2'], describe(again))
  const read = await send(away, 'GET', `${path}?r=all`)
  assert.deepEqual([read.status, String(read.body)], [200, 'y'])
  const deleted = await send(away, 'DELETE', `${path}?w=all`)
  assert.deepEqual([deleted.status, deleted.headers['x-hinted']], [204, '2'])
})

test('with sloppy=false only replicas count', async () => {
  const written = await send(away, 'PUT', `${path}?sloppy=false`, { body: 'x' })
  expectProblem(written, 503, 'quorum_unavailable')
  expectProblem(await send(away, 'GET', `${path}?sloppy=false`), 503, 'quorum_unavailable')
  const one = await send(away, 'PUT', `${path}?sloppy=false&w=1`, { body: 'x' })
  assert.deepEqual([one.status, one.headers['x-hinted']], [204, undefined], describe(one))
})
