import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Client, credentials, Metadata, status } from '@grpc/grpc-js'
import type { Listener, Transport } from '../../core/ports.ts'
import { createGrpcTransport } from '../../server/peer/grpc-transport.ts'
import { Journal, type Recorded, Recorder } from './recorder.ts'

const messageBytesMax = 64 * 1024
const limit = { timeout: 30_000 }
const exchangePath = '/anneal.peer.v1.PeerLink/Exchange'
const pass = (bytes: Buffer): Buffer => bytes

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((type) => type === 'TCPSocketWrap').length
}

/** Sockets close within a few turns of the event loop; one that never does fails the test by its time limit. */
async function untilSockets(count: number): Promise<void> {
  while (openSockets() > count) await setImmediate()
}

interface EchoPeer {
  readonly process: ChildProcess
  readonly exited: Promise<unknown>
  readonly address: string
}

async function startPeer(): Promise<EchoPeer> {
  const path = `${import.meta.dirname}/echo-peer.ts`
  const child = spawn(process.execPath, [path], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const [address] = await once(createInterface({ input: child.stdout }), 'line')
  return { process: child, exited, address: String(address) }
}

describe('gRPC transport: a peer that is gone', () => {
  const journal = new Journal()
  const transport = createGrpcTransport({ messageBytesMax, keepaliveMs: 60_000 })

  const dial = (address: string, from: Transport = transport): Recorded => {
    const recorder = new Recorder(journal)
    return { connection: from.dial(address, 'small', recorder), recorder }
  }

  test('killed: closes at once, long before any keepalive', limit, async () => {
    const peer = await startPeer()
    const { connection, recorder } = dial(peer.address)
    await journal.until(() => recorder.isOpen)
    connection.send(Buffer.from('hello'))
    await journal.until(() => recorder.messages.length === 1)
    peer.process.kill('SIGKILL')
    await journal.until(() => recorder.isClosed)
    await peer.exited
  })

  test('frozen: found by the keepalive; a close does not wait for it', limit, async () => {
    const sockets = openSockets()
    const peer = await startPeer()
    const patient = dial(peer.address)
    const watchful = dial(peer.address, createGrpcTransport({ messageBytesMax, keepaliveMs: 50 }))
    await journal.until(() => patient.recorder.isOpen && watchful.recorder.isOpen)
    peer.process.kill('SIGSTOP')
    await journal.until(() => watchful.recorder.isClosed)
    while (patient.connection.send(Buffer.alloc(messageBytesMax)));
    patient.connection.close('enough')
    await untilSockets(sockets)
    assert.equal(patient.recorder.closeReason, 'enough')
    peer.process.kill('SIGKILL')
    await peer.exited
  })

  test('silent from the start: given up after the connect timeout', limit, async () => {
    const sockets = openSockets()
    let left = (): void => {}
    const gone = new Promise<void>((resolve) => {
      left = resolve
    })
    const silent = createServer((socket) => socket.resume().on('close', left))
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    const address = silent.address()
    assert.ok(typeof address === 'object' && address !== null)
    const hasty = createGrpcTransport({
      messageBytesMax,
      keepaliveMs: 60_000,
      connectTimeoutMs: 50
    })
    const { recorder } = dial(`127.0.0.1:${address.port}`, hasty)
    await journal.until(() => recorder.isClosed)
    assert.match(recorder.closeReason ?? '', /did not answer within 50 ms/)
    await gone
    silent.close()
    await untilSockets(sockets)
  })

  test('closing on either side leaves no sockets behind', limit, async () => {
    const sockets = openSockets()
    const accepted: Recorded[] = []
    const listener = await transport.listen('127.0.0.1:0', (connection) => {
      const recorder = new Recorder(journal)
      accepted.push({ connection, recorder })
      return recorder
    })
    for (const closer of ['dialer', 'acceptor']) {
      accepted.length = 0
      const all = Array.from({ length: 10 }, () => dial(listener.address))
      await journal.until(() => all.every(({ recorder }) => recorder.isOpen))
      for (const { connection } of closer === 'dialer' ? all : accepted) connection.close('done')
      await untilSockets(sockets)
      assert.ok([...all, ...accepted].every(({ recorder }) => recorder.isClosed))
    }
    await listener.close()
  })
})

describe('gRPC transport: strangers on the port', () => {
  const journal = new Journal()
  const transport = createGrpcTransport({ messageBytesMax, keepaliveMs: 60_000 })
  const accepted: Recorded[] = []
  let listener: Listener

  before(async () => {
    listener = await transport.listen('127.0.0.1:0', (connection) => {
      const recorder = new Recorder(journal)
      accepted.push({ connection, recorder })
      return recorder
    })
  })

  after(() => listener.close())

  const port = (): number => Number(listener.address.split(':').at(-1))

  async function stillServes(): Promise<void> {
    const recorder = new Recorder(journal)
    const connection = transport.dial(listener.address, 'small', recorder)
    await journal.until(() => recorder.isOpen)
    connection.close('done')
    await journal.until(() => recorder.isClosed)
  }

  async function statusOf(path: string, metadata: Metadata, message?: Buffer): Promise<number> {
    const client = new Client(listener.address, credentials.createInsecure())
    const stream = client.makeBidiStreamRequest(path, pass, pass, metadata)
    stream.on('error', () => {}).resume()
    const ended = new Promise<number>((resolve) => stream.on('status', ({ code }) => resolve(code)))
    if (message !== undefined) stream.write(message)
    const code = await ended
    client.close()
    return code
  }

  const smallChannel = (): Metadata => {
    const metadata = new Metadata()
    metadata.set('anneal-channel', 'small')
    return metadata
  }

  test('bytes that are no HTTP/2 are dropped', limit, async () => {
    const bodies = [
      randomBytes(10_000),
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), randomBytes(10_000)])
    ]
    for (const body of bodies) {
      const socket = connect(port(), '127.0.0.1').on('error', () => {})
      socket.resume().write(body)
      await once(socket, 'close')
    }
    await stillServes()
  })

  test('HTTP/2 that is no gRPC is answered 415', limit, async () => {
    const session = connectHttp2(`http://${listener.address}`)
    const request = session.request({ ':path': '/' })
    const [headers] = await once(request, 'response')
    assert.equal(headers[':status'], 415)
    session.destroy()
    await stillServes()
  })

  test('a peer may send more than the 64 KiB of HTTP/2 before it hears back', limit, async () => {
    const session = connectHttp2(`http://${listener.address}`)
    const request = session.request({
      ':method': 'POST',
      ':path': exchangePath,
      'content-type': 'application/grpc',
      'anneal-channel': 'bulk'
    })
    request.on('error', () => {})
    while ((session.remoteSettings.initialWindowSize ?? 0) < 1024 * 1024) {
      await once(session, 'remoteSettings')
    }
    while ((session.state.remoteWindowSize ?? 0) < 1024 * 1024) await setImmediate()
    session.destroy()
  })

  test('calls that are not ours are told so', limit, async () => {
    assert.equal(await statusOf('/foreign.Service/Method', new Metadata()), status.UNIMPLEMENTED)
    assert.equal(await statusOf(exchangePath, new Metadata()), status.INVALID_ARGUMENT)
    const metadata = new Metadata()
    metadata.set('anneal-channel', 'large')
    assert.equal(await statusOf(exchangePath, metadata), status.INVALID_ARGUMENT)
    await stillServes()
  })

  test('a message that is too large ends only its own connection', limit, async () => {
    const before = accepted.length
    const code = await statusOf(exchangePath, smallChannel(), Buffer.alloc(messageBytesMax + 1))
    assert.equal(code, status.RESOURCE_EXHAUSTED)
    await journal.until(() => accepted[before]?.recorder.isClosed === true)
    await stillServes()
  })

  test(
    'a connection that opens no stream is dropped after the connect timeout',
    limit,
    async () => {
      const options = { messageBytesMax, keepaliveMs: 60_000, connectTimeoutMs: 50 }
      const hasty = await createGrpcTransport(options).listen('127.0.0.1:0', () => assert.fail())
      const socket = connect(Number(hasty.address.split(':').at(-1)), '127.0.0.1')
      await once(socket.resume(), 'close')
      await hasty.close()
    }
  )

  test('closing the listener does not wait for one', limit, async () => {
    const options = { messageBytesMax, keepaliveMs: 60_000, connectTimeoutMs: 600_000 }
    const other = await createGrpcTransport(options).listen('127.0.0.1:0', () => assert.fail())
    const session = connectHttp2(`http://${other.address}`)
    await once(session, 'remoteSettings')
    const closed = once(session, 'close')
    await other.close()
    await closed
  })
})
