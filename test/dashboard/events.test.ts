import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { TSchema } from 'typebox'
import { Check, Errors } from 'typebox/value'
import { eventListenersMax } from '../../server/dashboard/event-routes.ts'
import { partitionsEvent, ringEvent, stateEvent } from '../../server/dashboard/event-schemas.ts'
import { ClusterProcess } from '../cluster/cluster-process.ts'
import { jsonOf, keyPath, send } from '../cluster/http-request.ts'

let cluster: ClusterProcess

before(async () => {
  cluster = await ClusterProcess.start({ set: ['cluster.partitions=16'] })
})
after(() => cluster?.stop())

interface ServerEvent {
  readonly name: string
  readonly data: unknown
}

/** Follows the events of a node until the stream ends, or the caller has seen enough. */
async function* eventsOf(url: string, signal?: AbortSignal): AsyncGenerator<ServerEvent> {
  const answer = await fetch(`${url}/admin/events`, signal === undefined ? {} : { signal })
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  let text = ''
  for await (const chunk of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const found = /^event: (.*)\ndata: (.*)$/.exec(block)
      if (found !== null) yield { name: found[1] ?? '', data: JSON.parse(found[2] ?? '') }
    }
  }
}

test('the events are what their description says, and every one comes first of all', async () => {
  const schemas: Readonly<Record<string, TSchema>> = {
    ring: ringEvent,
    partitions: partitionsEvent,
    state: stateEvent
  }
  const { url } = cluster.node(1)
  await send(url, 'POST', '/admin/repair')
  const seen: string[] = []
  for await (const { name, data } of eventsOf(url)) {
    const schema = schemas[name]
    assert.ok(schema, `an event ${name} that is not described`)
    assert.ok(
      Check(schema, data),
      `${name}: ${JSON.stringify([...Errors(schema, data)].slice(0, 3))}`
    )
    seen.push(name)
    if (seen.filter((one) => one === 'state').length === 3) break
  }
  assert.deepEqual(seen.slice(0, 3), ['ring', 'partitions', 'state'])
  assert.equal(seen.filter((name) => name === 'ring').length, 1, 'the ring has not changed')
})

test('every member tells what it sees of the others', async () => {
  type Member = { id: string; view: { up: string[]; down: string[] } | null }
  for await (const { name, data } of eventsOf(cluster.node(1).url)) {
    if (name !== 'state') continue
    const { members } = data as { members: Member[] }
    if (members.some(({ view }) => view === null)) continue
    assert.deepEqual(
      members.map(({ id, view }) => [id, view?.up, view?.down]),
      [
        ['n1', ['n2', 'n3'], []],
        ['n2', ['n1', 'n3'], []],
        ['n3', ['n1', 'n2'], []]
      ]
    )
    break
  }
})

test('one listener too many is refused with the time to wait, and the others hear on', async () => {
  const { url } = cluster.node(2)
  const leave = new AbortController()
  const streams = await Promise.all(
    Array.from({ length: eventListenersMax }, () =>
      fetch(`${url}/admin/events`, { signal: leave.signal })
    )
  )
  assert.ok(streams.every(({ status }) => status === 200))
  const refused = await send(url, 'GET', '/admin/events')
  assert.equal(refused.status, 503)
  assert.equal(jsonOf<{ code: string }>(refused).code, 'overloaded')
  assert.equal(refused.headers['retry-after'], '1')
  leave.abort()
  await cluster.node(2).until('takes a listener again', async () => {
    const again = new AbortController()
    const { status } = await fetch(`${url}/admin/events`, { signal: again.signal })
    again.abort()
    return status === 200
  })
})

test('a node that is repaired by key says what its replicas hold then', async () => {
  const { url } = cluster.node(1)
  await send(url, 'PUT', keyPath('b', 'k'), { body: 'x' })
  const answer = await send(url, 'POST', '/admin/keys/b/k/repair')
  assert.equal(answer.status, 200)
  const { replicas } = jsonOf<{ replicas: { state: string; digest: string }[] }>(answer)
  assert.deepEqual(
    replicas.map(({ state }) => state),
    ['ok', 'ok', 'ok']
  )
  assert.equal(new Set(replicas.map(({ digest }) => digest)).size, 1)
})

test('the page is served under a policy that runs nothing inline, with all that it asks for', async () => {
  const { url } = cluster.node(1)
  const page = await send(url, 'GET', '/')
  const policy = page.headers['content-security-policy'] ?? ''
  assert.match(policy, /default-src 'none'/)
  assert.doesNotMatch(policy, /unsafe/)
  const wanted = [...page.text.matchAll(/(?:src|href)="(\/dashboard\/[^"]+)"/g)].map(([, p]) => p)
  assert.ok(wanted.length > 3)
  for (const path of wanted) {
    const file = await send(url, 'GET', path ?? '')
    assert.equal(file.status, 200, path)
    const headers = { 'If-None-Match': file.headers['etag'] ?? '' }
    assert.equal((await send(url, 'GET', path ?? '', { headers })).status, 304)
  }
})

test('a stop in order ends the streams at once', async () => {
  const node = cluster.node(3)
  const events = eventsOf(node.url)
  await events.next()
  const startedMs = performance.now()
  const stopped = node.end('SIGTERM')
  for await (const _ of events) assert.ok(performance.now() - startedMs < 5000)
  assert.equal(await stopped, 0)
})
