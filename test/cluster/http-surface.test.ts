import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ClusterProcess } from './cluster-process.ts'
import { expectProblem } from './expect-problem.ts'
import { describe, jsonOf, send } from './http-request.ts'
import { parseMetrics } from './parse-metrics.ts'

let cluster: ClusterProcess
let n1: string
let n2: string

before(async () => {
  cluster = await ClusterProcess.start()
  ;[n1 = '', n2 = ''] = cluster.urls
})

after(() => cluster?.stop())

test('the health calls answer in text, and verbose lists the checks', async () => {
  for (const path of ['/livez', '/livez?verbose', '/readyz']) {
    const answer = await send(n1, 'GET', path)
    assert.equal(answer.status, 200)
    assert.match(answer.headers['content-type'] ?? '', /^text\/plain/)
    assert.equal(answer.text, 'ok\n')
  }
  for (const path of ['/readyz?verbose', '/readyz?verbose=1']) {
    const lines = (await send(n1, 'GET', path)).text.trimEnd().split('\n')
    assert.equal(lines.at(-1), 'ready')
    assert.ok(lines.length > 3)
    for (const line of lines.slice(0, -1)) assert.match(line, /^\[\+\] \w+: \S/)
  }
})

test('metrics are in the exposition format, have the names of their units, and move', async () => {
  const before = parseMetrics((await send(n1, 'GET', '/metrics')).text)
  for (let i = 0; i < 5; i++) {
    await send(n1, 'PUT', '/kv/metrics/k', { body: 'x' })
    await send(n1, 'GET', '/kv/metrics/k')
  }
  const answer = await send(n1, 'GET', '/metrics')
  assert.match(answer.headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4/)
  const metrics = parseMetrics(answer.text)
  assert.ok(metrics.families.size > 15)
  for (const [name, { type, help }] of metrics.families) {
    assert.match(name, /^anneal_[a-z0-9_]+$/)
    assert.notEqual(help, '', name)
    assert.doesNotMatch(name, /_(ms|milliseconds|millis|kb|mb)(_|$)/)
    if (type === 'counter') assert.match(name, /_total$/)
  }
  const put = 'anneal_http_responses_total{operation="put",status="204"}'
  assert.equal(metrics.samples.get(put), (before.samples.get(put) ?? 0) + 5)
  const taken = 'anneal_http_request_duration_seconds_count{operation="put"}'
  assert.equal(metrics.samples.get(taken), (before.samples.get(taken) ?? 0) + 5)
  const reads = [...metrics.samples].filter(
    ([name]) => name.startsWith('anneal_http_responses_total') && name.includes('"get"')
  )
  assert.equal(reads.reduce((sum, [, value]) => sum + value, 0) >= 5, true)
  assert.equal(metrics.samples.get('anneal_cluster_members'), 3)
  for (const peer of ['n2', 'n3']) {
    assert.equal(metrics.samples.get(`anneal_peer_up{peer="${peer}"}`), 1)
  }
  // Buckets are cumulative, and what has no bound counts all.
  const buckets = [...metrics.samples].filter(([name]) =>
    name.startsWith('anneal_http_request_duration_seconds_bucket{operation="put"')
  )
  const counts = buckets.map(([, value]) => value)
  assert.deepEqual(
    counts,
    counts.toSorted((a, b) => a - b)
  )
  assert.equal(counts.at(-1), metrics.samples.get(taken))
})

const reference = join(import.meta.dirname, '../../docs/reference/http.md')

test('the reference names every call of the description, and none that does not exist', async () => {
  const { paths } = jsonOf<OpenApi>(await send(n1, 'GET', '/openapi.json'))
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  )
  const call = /`((?:GET|HEAD|PUT|POST|DELETE|PATCH) \/[^\s`?]*)/g
  const named = new Set(
    [...readFileSync(reference, 'utf8').matchAll(call)].map(([, found = '']) => found)
  )
  // The description does not describe itself.
  assert.ok(named.delete('GET /openapi.json'))
  assert.deepEqual([...named].sort(), described.sort())
})

interface OpenApi {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { schema: object }>> }
  readonly responses: Readonly<
    Record<string, { description: string; content?: Readonly<Record<string, { schema: object }>> }>
  >
}

test('the description of the API has every call with its parameters and its answers', async () => {
  const answer = await send(n1, 'GET', '/openapi.json')
  assert.match(answer.headers['content-type'] ?? '', /^application\/json/)
  const { openapi, info, paths } = jsonOf<OpenApi>(answer)
  assert.match(openapi, /^3\./)
  assert.equal(info.title, 'Anneal')
  const calls = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method} ${path}`)
  )
  assert.deepEqual(calls.sort(), [
    'delete /admin/quarantine/{id}',
    'delete /admin/repair/{id}',
    'delete /buckets/{bucket}',
    'delete /kv/{bucket}/{key}',
    'get /admin/events',
    'get /admin/hints',
    'get /admin/keys/{bucket}/{key}',
    'get /admin/quarantine',
    'get /admin/repair',
    'get /admin/repair/{id}',
    'get /admin/ring',
    'get /admin/status',
    'get /admin/trees',
    'get /buckets',
    'get /buckets/{bucket}',
    'get /kv/{bucket}',
    'get /kv/{bucket}/{key}',
    'get /livez',
    'get /metrics',
    'get /readyz',
    'head /kv/{bucket}/{key}',
    'post /admin/hints/flush',
    'post /admin/keys/{bucket}/{key}/repair',
    'post /admin/quarantine/{id}/restore',
    'post /admin/repair',
    'post /admin/repair/pause',
    'post /admin/repair/resume',
    'post /kv/batch',
    'put /buckets/{bucket}',
    'put /kv/{bucket}/{key}'
  ])
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { summary, tags, parameters = [], responses }] of Object.entries(
      operations
    )) {
      const call = `${method} ${path}`
      assert.ok(summary !== undefined && tags?.length === 1, call)
      const inPath = parameters.filter((parameter) => parameter.in === 'path')
      assert.deepEqual(
        inPath.map(({ name }) => `{${name}}`),
        path.match(/\{\w+\}/g) ?? [],
        call
      )
      for (const [status, { description, content = {} }] of Object.entries(responses)) {
        assert.notEqual(description, 'Default Response', `${call} ${status}`)
        if (Number(status) >= 400 && tags?.[0] !== 'health') {
          assert.ok('application/problem+json' in content, `${call} ${status}`)
        }
      }
    }
  }
  const statusesOf = (path: string, method: string) =>
    Object.keys(paths[path]?.[method]?.responses ?? {})
  const key = '/kv/{bucket}/{key}'
  assert.deepEqual(statusesOf(key, 'get'), ['200', '300', '304', '400', '404', '503', '504'])
  const put = ['200', '204', '300', '400', '409', '412', '413', '503', '504', '507']
  assert.deepEqual(statusesOf(key, 'put'), put)
  const names = (paths[key]?.['put']?.parameters ?? []).map((parameter) => parameter.name)
  for (const name of ['r', 'w', 'sloppy', 'timeout', 'ttl', 'return', 'If-Match']) {
    assert.ok(
      names.some((found) => found.toLowerCase() === name.toLowerCase()),
      `${name} in ${names}`
    )
  }
  assert.ok(paths[key]?.['put']?.requestBody?.content['*/*'])
  const described = JSON.stringify(paths['/kv/batch']?.['post']?.requestBody)
  for (const field of ['ops', 'bucket', 'key', 'value', 'context']) {
    assert.ok(described.includes(`"${field}"`), field)
  }
})

test('the page for people is HTML that runs and styles nothing inline', async () => {
  const page = await send(n1, 'GET', '/')
  assert.match(page.headers['content-type'] ?? '', /^text\/html/)
  assert.match(page.headers['content-security-policy'] ?? '', /default-src 'none'/)
  assert.match(page.text, /^<!doctype html>/i)
  assert.doesNotMatch(page.text, /<style|\sstyle=|\son[a-z]+=|javascript:/i)
  const scripts = [...page.text.matchAll(/<script([^>]*)>([^<]*)</g)]
  assert.ok(scripts.length > 0)
  for (const [, attributes, content] of scripts) {
    assert.match(attributes ?? '', / src="\/dashboard\//)
    assert.equal(content, '')
  }
})

interface Status {
  readonly node: Readonly<Record<string, unknown>>
  readonly cluster: {
    readonly name: string
    readonly epoch: string
    readonly members: readonly Readonly<Record<string, unknown>>[]
  }
  readonly hints: object
  readonly repair: object
}

test('the status has the node, the cluster and every member', async () => {
  const {
    node,
    cluster: seen,
    hints,
    repair
  } = jsonOf<Status>(await send(n2, 'GET', '/admin/status'))
  assert.equal(node['id'], 'n2')
  assert.equal(node['state'], 'ready')
  assert.match(String(node['version']), /^\d+\.\d+\.\d+/)
  assert.ok(Number.isInteger(node['uptimeSeconds']))
  assert.equal(seen.name, 'anneal')
  assert.deepEqual(
    seen.members.map(({ id, http, peer, state, up }) => ({ id, http, peer, state, up })),
    cluster.nodes.map(({ id, settings: { http, peer } }) => ({
      id,
      http,
      peer,
      state: 'normal',
      up: true
    }))
  )
  for (const member of seen.members) assert.ok('zone' in member && 'region' in member)
  assert.ok(typeof hints === 'object' && typeof repair === 'object')
})

interface RingSeen {
  readonly epoch: string
  readonly partitions: readonly {
    readonly id: number
    readonly replicas: readonly string[]
    readonly pending: readonly string[]
  }[]
}

test('all nodes have the same ring: 256 partitions with three replicas, evenly owned', async () => {
  const rings = await Promise.all(cluster.urls.map((url) => send(url, 'GET', '/admin/ring')))
  const [first] = rings.map((ring) => jsonOf<RingSeen>(ring))
  assert.ok(first !== undefined)
  for (const ring of rings) assert.deepEqual(jsonOf<RingSeen>(ring), first)
  assert.deepEqual(
    first.partitions.map(({ id }) => id),
    Array.from({ length: 256 }, (_, id) => id)
  )
  const owned = new Map<string, number>()
  for (const { replicas, pending } of first.partitions) {
    assert.deepEqual([...replicas].sort(), ['n1', 'n2', 'n3'])
    assert.deepEqual(pending, [])
    owned.set(replicas[0] ?? '', (owned.get(replicas[0] ?? '') ?? 0) + 1)
  }
  for (const [id, count] of owned) assert.ok(count >= 77 && count <= 94, `${id} owns ${count}`)
  const status = jsonOf<Status>(await send(n1, 'GET', '/admin/status'))
  assert.equal(status.cluster.epoch, first.epoch)
})

interface KeySeen {
  readonly partition: number
  readonly leaf: number
  readonly replicas: readonly {
    readonly node: string
    readonly state: string
    readonly digest: string | null
    readonly versions: readonly Readonly<Record<string, unknown>>[]
  }[]
}

test('a key is shown as every replica holds it, tombstones included', async () => {
  const path = '/admin/keys/shown/a%2Fb'
  const missing = jsonOf<KeySeen>(await send(n1, 'GET', path))
  assert.deepEqual(
    missing.replicas.map(({ state }) => state),
    ['missing', 'missing', 'missing']
  )
  const written = await send(n1, 'PUT', '/kv/shown/a%2Fb?w=all', { body: 'value' })
  const seen = jsonOf<KeySeen>(await send(n2, 'GET', path))
  assert.ok(seen.partition >= 0 && seen.partition < 256 && seen.leaf >= 0 && seen.leaf < 1024)
  assert.deepEqual(seen.replicas.map(({ node }) => node).sort(), ['n1', 'n2', 'n3'])
  const [replica] = seen.replicas
  for (const { state, digest, versions } of seen.replicas) {
    assert.equal(state, 'ok')
    assert.equal(digest, replica?.digest)
    assert.equal(versions.length, 1)
    const [version = {}] = versions
    assert.equal(`"${version['etag']}"`, written.headers['etag'])
    assert.equal(version['tombstone'], false)
    assert.equal(version['bytes'], 5)
    assert.ok(!Number.isNaN(Date.parse(String(version['lastModified']))))
  }
  const local = jsonOf<KeySeen>(await send(n2, 'GET', `${path}?local=true`))
  assert.deepEqual(
    local.replicas.map(({ node }) => node),
    ['n2']
  )
  await send(n1, 'DELETE', '/kv/shown/a%2Fb?w=all')
  const deleted = jsonOf<KeySeen>(await send(n2, 'GET', path))
  assert.equal(deleted.replicas[0]?.versions[0]?.['tombstone'], true)
  expectProblem(await send(n1, 'GET', '/admin/keys/b/%FF'), 400, 'bad_key')
  const bad = await send(n1, 'GET', `${path}?local=yes`)
  assert.match(describe(bad), /true or false/)
})
