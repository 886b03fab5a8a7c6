import assert from 'node:assert/strict'
import { AnnealError } from '../../core/errors.ts'
import type { Acceptor, Channel, Listener, Transport } from '../../core/ports.ts'
import { type Journal, type Recorded, Recorder } from './recorder.ts'

/** One implementation of `Transport`, set up for one test. */
export interface TransportHarness {
  readonly dialer: Transport
  readonly acceptor: Transport
  /** Where to listen, on a port that the transport chooses. */
  readonly anyAddress: string
  /** Where nobody listens. */
  readonly deadAddress: string
  readonly messageBytesMax: number
  /** Resolves once the condition holds; fails where it cannot come to hold any more. */
  until(condition: () => boolean): Promise<void>
  stop(): Promise<void>
}

export type TransportFactory = (journal: Journal) => Promise<TransportHarness>

/** Bytes in which a shift, a swap or a cut shows. */
export function patterned(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + seed + (i >>> 8)) & 0xff
  return bytes
}

/** Two sides and what they heard. */
export class TransportBench {
  readonly harness: TransportHarness
  readonly journal: Journal
  readonly accepted: Recorded[] = []
  readonly #listeners: Listener[] = []

  constructor(harness: TransportHarness, journal: Journal) {
    this.harness = harness
    this.journal = journal
  }

  async listen(acceptor: Acceptor = this.record): Promise<Listener> {
    const listener = await this.harness.acceptor.listen(this.harness.anyAddress, acceptor)
    this.#listeners.push(listener)
    return listener
  }

  readonly record: Acceptor = (connection) => {
    const recorder = new Recorder(this.journal)
    this.accepted.push({ connection, recorder })
    return recorder
  }

  readonly echo: Acceptor = (connection) => {
    const recorder = new Recorder(this.journal, (event) => {
      if (event.kind === 'message') connection.send(event.bytes)
    })
    this.accepted.push({ connection, recorder })
    return recorder
  }

  dial(address: string, channel: Channel = 'small'): Recorded {
    const recorder = new Recorder(this.journal)
    return { connection: this.harness.dialer.dial(address, channel, recorder), recorder }
  }

  /** Dials and waits until both sides are open. */
  async connect(listener: Listener, channel: Channel = 'small'): Promise<[Recorded, Recorded]> {
    const before = this.accepted.length
    const dialed = this.dial(listener.address, channel)
    await this.until(() => dialed.recorder.isOpen && this.accepted.length > before)
    const accepted = this.accepted[before]
    assert.ok(accepted !== undefined)
    await this.until(() => accepted.recorder.isOpen)
    return [dialed, accepted]
  }

  /** A round trip on a connection of its own: whatever was under way before has arrived by then. */
  async roundTrip(): Promise<void> {
    const listener = await this.listen(this.echo)
    const [dialed] = await this.connect(listener)
    for (let count = 1; count <= 3; count++) {
      dialed.connection.send(patterned(16, count))
      await this.until(() => dialed.recorder.messages.length === count)
    }
    dialed.connection.close('done')
    await this.until(() => dialed.recorder.isClosed)
  }

  /** Listening there must fail, in words that hold `name`. */
  async rejectsListening(address: string, name: string): Promise<void> {
    await assert.rejects(this.harness.acceptor.listen(address, this.record), (thrown) => {
      assert.ok(thrown instanceof AnnealError)
      assert.equal(thrown.code, 'bad_parameter')
      assert.ok(thrown.message.includes(name), thrown.message)
      return true
    })
  }

  until(condition: () => boolean): Promise<void> {
    return this.harness.until(condition)
  }

  async stop(): Promise<void> {
    for (const listener of this.#listeners) await listener.close()
    await this.harness.stop()
  }
}
