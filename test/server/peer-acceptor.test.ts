import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { linkRequestsInFlightMax } from '../../core/limits.ts'
import type { Connection, Timers } from '../../core/ports.ts'
import { decodeLinkMessage, encodeFrame, encodeLinkMessage } from '../../proto/frame-codec.ts'
import type { Frame, Request, Response } from '../../proto/frames.ts'
import { PeerAcceptor } from '../../server/peer/peer-acceptor.ts'
import { acceptorOptions, dialedBy } from '../fuzz/handshake-targets.ts'

const timers: Timers = { set: () => ({}), clear: () => {}, atEndOfTurn: (callback) => callback() }
const nothing = new Uint8Array()
const request: Request = {
  kind: 'read',
  bucket: Buffer.from('b'),
  key: Buffer.from('k'),
  objectHash: nothing,
  standIn: false
}

/** A connection whose other side sends requests, and takes no responses until it is told to. */
class Stalled implements Connection {
  readonly channel = 'bulk'
  readonly remote = 'peer'
  readonly responses: Frame[] = []
  closedBecause: string | null = null
  handled = 0
  #takes = true
  #nextId = 1
  readonly #acceptor: PeerAcceptor

  constructor(responseBytes: number) {
    const object = Buffer.alloc(responseBytes)
    const read = { kind: 'readReply', same: false, useBulk: false, damaged: false } as const
    const response: Response = { ...read, object, watermark: nothing }
    this.#acceptor = new PeerAcceptor(this, {
      handshake: acceptorOptions,
      timers,
      epoch: () => '0123456789abcdef',
      handle: (_request, _origin, respond) => {
        this.handled++
        respond(response)
      },
      onHeard: () => {},
      onReady: () => {},
      onGone: () => {},
      onRefused: (_remote, _code, detail) => assert.fail(detail)
    })
    for (const message of dialedBy(0)) this.#acceptor.onMessage(message)
    this.#takes = false
  }

  send(message: Uint8Array): boolean {
    if (this.#nextId > 1) this.responses.push(...decodeLinkMessage(message))
    return this.#takes
  }

  close(reason: string): void {
    this.closedBecause ??= reason
  }

  ask(times: number): void {
    for (let i = 0; i < times && this.closedBecause === null; i++) {
      const frame = encodeFrame({ id: this.#nextId++, epoch: '0123456789abcdef', body: request })
      this.#acceptor.onMessage(encodeLinkMessage([frame]))
    }
  }

  takeAll(): void {
    this.#takes = true
    this.#acceptor.onDrain()
  }
}

describe('responses that a peer does not take', () => {
  test('are not added to without bound, and each request is answered all the same', () => {
    const mebi = 1024 * 1024
    const peer = new Stalled(mebi)
    peer.ask(200)
    assert.ok(peer.handled < 70, `${peer.handled} MiB of responses are held`)
    peer.takeAll()
    assert.equal(peer.responses.length, 200)
    const last = peer.responses.at(-1)?.body
    assert.ok(last?.kind === 'failure' && last.code === 'overloaded')
    peer.ask(1)
    assert.equal(peer.responses.at(-1)?.body.kind, 'readReply', 'served again')
  })

  test('count as requests in flight, of which the protocol allows so many', () => {
    const peer = new Stalled(1)
    peer.ask(3 * linkRequestsInFlightMax)
    assert.match(peer.closedBecause ?? '', /more requests in flight/)
  })
})
