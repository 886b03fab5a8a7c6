import assert from 'node:assert/strict'
import type { Connection, ConnectionEvents } from '../../core/ports.ts'

export type RecordedEvent =
  | { readonly kind: 'open' }
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  | { readonly kind: 'drain' }
  | { readonly kind: 'close'; readonly reason: string }

/** Wakes whoever waits for something that only an event can bring about. */
export class Journal {
  #waiting: (() => void)[] = []

  changed(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

/** The events of one connection, in order; what the contract forbids fails as it happens. */
export class Recorder implements ConnectionEvents {
  readonly events: RecordedEvent[] = []
  readonly #journal: Journal
  readonly #react: (event: RecordedEvent) => void

  constructor(journal: Journal, react: (event: RecordedEvent) => void = () => {}) {
    this.#journal = journal
    this.#react = react
  }

  get isOpen(): boolean {
    return this.events.some(({ kind }) => kind === 'open')
  }

  get isClosed(): boolean {
    return this.closeReason !== null
  }

  get closeReason(): string | null {
    const close = this.events.find((event) => event.kind === 'close')
    return close === undefined ? null : close.reason
  }

  get messages(): Uint8Array[] {
    return this.events.flatMap((event) => (event.kind === 'message' ? [event.bytes] : []))
  }

  get drains(): number {
    return this.events.filter(({ kind }) => kind === 'drain').length
  }

  onOpen(): void {
    assert.deepEqual(this.events, [], 'onOpen comes first and once')
    this.#record({ kind: 'open' })
  }

  onMessage(message: Uint8Array): void {
    assert.ok(this.isOpen, 'no message before onOpen')
    this.#record({ kind: 'message', bytes: message })
  }

  onDrain(): void {
    assert.ok(this.isOpen, 'no onDrain before onOpen')
    this.#record({ kind: 'drain' })
  }

  onClose(reason: string): void {
    this.#record({ kind: 'close', reason })
  }

  #record(event: RecordedEvent): void {
    assert.equal(this.closeReason, null, `nothing comes after onClose, but ${event.kind} did`)
    this.events.push(event)
    this.#react(event)
    this.#journal.changed()
  }
}

/** A recorder with the connection that it listens to. */
export interface Recorded {
  readonly connection: Connection
  readonly recorder: Recorder
}
