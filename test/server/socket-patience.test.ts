import assert from 'node:assert/strict'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import { test } from 'node:test'
import { quorumsOf } from '../../server/http/data-options.ts'
import { stalledSocketMs } from '../../server/http/socket-patience.ts'

const agent = new Agent({ keepAlive: true, maxSockets: 1 })

/** Resolves once the answer has been received whole. */
function ask(port: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, agent, path: `/?timeout=${timeoutMs}` }, (incoming) => {
      incoming.on('end', resolve).resume()
    })
    outgoing.on('error', reject).end()
  })
}

function timeoutOf({ url = '' }: IncomingMessage): number {
  return Number(new URL(url, 'http://a').searchParams.get('timeout'))
}

test('a connection is given the time of its request on top, and only for that request', async (t) => {
  const sockets = new Set<unknown>()
  const granted: (number | undefined)[] = []
  const server = createServer((incoming, response) => {
    quorumsOf({ raw: incoming }, { timeout: timeoutOf(incoming) })
    sockets.add(incoming.socket)
    granted.push(incoming.socket.timeout)
    response.end()
  })
  server.setTimeout(stalledSocketMs)
  await new Promise<void>((resolve) => server.listen(0, resolve))
  t.after(() => {
    agent.destroy()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  for (const timeoutMs of [1000, 600_000, 1000]) await ask(address.port, timeoutMs)
  assert.equal(sockets.size, 1, 'one connection')
  assert.deepEqual(granted, [stalledSocketMs, 600_000 + stalledSocketMs, stalledSocketMs])
})
