import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { encodeHandshake } from '../../proto/handshake-codec.ts'
import { exchangePath, passThrough } from '../../server/peer/grpc-options.ts'
import { ClusterProcess, membersOf } from './cluster-process.ts'
import { describe, get, put } from './kv-client.ts'
import { residentMib } from './process-memory.ts'
import { RawConnection } from './raw-connection.ts'
import type { ServerProcess } from './server-process.ts'

const residentMibMax = 400
const linesPerMinuteMax = 100

let cluster: ClusterProcess
let node: ServerProcess

before(async () => {
  cluster = await ClusterProcess.start({ nodes: 2, set: ['replication.n=2'] })
  node = cluster.node(1)
})

after(() => cluster?.stop())

async function assertHealthy(): Promise<void> {
  const key = `/kv/healthy/${randomBytes(4).toString('hex')}`
  const written = await put(node.url, `${key}?w=all`, 'well')
  assert.equal(written.status, 204, describe(written))
  assert.equal((await get(node.url, key)).body.toString(), 'well')
  const members = await membersOf(node)
  assert.deepEqual(
    members.map(({ id, up }) => ({ id, up })),
    [
      { id: 'n1', up: true },
      { id: 'n2', up: true }
    ]
  )
  const { now } = await residentMib(node.pid)
  assert.ok(now < residentMibMax, `${Math.round(now)} MiB are in use`)
  assert.ok(node.log.length < linesPerMinuteMax, `${node.log.length} log lines`)
}

interface Exchange {
  readonly received: Uint8Array[]
  readonly status: number
  readonly details: string
}

/** Opens a stream as a peer does, sends these messages, and resolves with all that comes until it ends. */
function exchange(messages: readonly Uint8Array[], path = exchangePath): Promise<Exchange> {
  const client = new Client(node.settings.peer, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1
  })
  const metadata = new Metadata()
  metadata.set('anneal-channel', 'small')
  const stream = client.makeBidiStreamRequest(path, passThrough, passThrough, metadata)
  const received: Uint8Array[] = []
  return new Promise((resolve) => {
    stream.on('data', (message: Uint8Array) => {
      received.push(message)
      // Whoever is told of a refusal hangs up; nobody else waits for a stream to end.
      stream.cancel()
    })
    stream.on('error', () => {})
    stream.once('status', ({ code, details }) => {
      client.close()
      resolve({ received, status: code, details })
    })
    for (const message of messages) stream.write(message)
  })
}

test('what is no gRPC is hung up on', async () => {
  const url = `http://${node.settings.peer}`
  const nonsense = [
    randomBytes(10_000),
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'x'.repeat(10_000)}`
  ]
  await Promise.all(
    nonsense.map(async (bytes) => (await RawConnection.open(url)).send(bytes).closed())
  )
  await assertHealthy()
})

test('foreign calls are answered as unimplemented', async () => {
  const { status } = await exchange([], '/grpc.health.v1.Health/Check')
  assert.equal(status, 12)
  await assertHealthy()
})

test('messages that are no handshake are refused, whatever they are', async () => {
  const messages = [randomBytes(500), Buffer.alloc(0), Buffer.alloc(100_000, 0xff)]
  for (const message of messages) {
    const { received } = await exchange([message])
    assert.match(Buffer.concat(received).toString('latin1'), /does not speak this protocol/)
  }
  const outOfOrder = encodeHandshake({ step: 'proof', proof: randomBytes(32) })
  const { received } = await exchange([outOfOrder])
  assert.match(Buffer.concat(received).toString('latin1'), /out of order/)
  await assertHealthy()
})

test('an endless stream of handshakes is refused without a log line for each', async () => {
  const refused = () =>
    encodeHandshake({ step: 'refused', code: 'secret', detail: randomBytes(8).toString('hex') })
  const flood = async () => {
    for (let i = 0; i < 40; i++) await exchange([refused()])
  }
  await Promise.all(Array.from({ length: 8 }, flood))
  await assertHealthy()
})

test('a thousand connections that say nothing keep no peer out', async () => {
  const url = `http://${node.settings.peer}`
  const silent = await Promise.all(Array.from({ length: 1000 }, () => RawConnection.open(url)))
  try {
    const peer = cluster.node(2)
    await peer.end('SIGKILL')
    await peer.start()
    await cluster.settled()
    await assertHealthy()
  } finally {
    for (const connection of silent) connection.destroy()
  }
})
