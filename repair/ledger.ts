import { DecodeError } from '../core/errors.ts'
import type { Log } from '../core/ports.ts'
import { decodeLedger, type EarlyReason, encodeLedger } from './ledger-codec.ts'
import { nothingShipped, type PartitionOutcome } from './session-outcome.ts'

/** Where the ledger is kept: one record for each peer. */
export interface LedgerStorage {
  /** Null where there is none. */
  read(peer: string): Uint8Array | null
  /** Resolves once it is durable. */
  write(peer: string, record: Uint8Array): Promise<void>
}

/** What is known of one partition and one peer that shares it. Counts are since this process started. */
export interface LedgerEntry {
  /** Wall clock: when an exchange of the two last ended equal; null: never. Survives a restart. */
  readonly lastEqualMs: number | null
  /** How the last exchange ended; `unknown`: there was none in this process. */
  readonly last: 'equal' | 'differs' | 'unknown'
  /** Why it is not equal; empty where it is. */
  readonly reason: string
  readonly early: EarlyReason | null
  readonly exchanges: number
  readonly differences: number
  readonly rowsSent: number
  readonly rowsReceived: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Of the exchanges that it took part in; those that it took part in together with others count for each. */
  readonly roundTrips: number
}

const blank: LedgerEntry = {
  lastEqualMs: null,
  last: 'unknown',
  reason: '',
  early: null,
  exchanges: 0,
  ...nothingShipped
}

interface PeerLedger {
  readonly entries: Map<number, LedgerEntry>
  /** By partition, the number of the mark that is set: an exchange only clears marks that were set before it began. */
  readonly marks: Map<number, number>
}

/**
 * The account of repair: per partition and peer when the two were last found equal, and what is to be looked at before
 * its time. From it come the ages shown to operators, the order of work, and what a restarted node still has to do.
 * What makes tombstones collectable is kept elsewhere and depends on no clock.
 */
export class Ledger {
  readonly #storage: LedgerStorage
  readonly #log: Log
  readonly #peers = new Map<string, PeerLedger>()
  #lastMark = 0

  constructor(storage: LedgerStorage, log: Log) {
    this.#storage = storage
    this.#log = log
  }

  entry(partition: number, peer: string): LedgerEntry {
    return this.#of(peer).entries.get(partition) ?? blank
  }

  /** The partitions that are to be compared with the peer before their time. */
  earlyWith(peer: string): readonly number[] {
    return [...this.#of(peer).marks.keys()]
  }

  /** To be handed to `note` when an exchange that begins now ends. */
  get now(): number {
    return this.#lastMark
  }

  /** Resolves once the mark is durable. A mark that is set already is set anew: what it says happened again. */
  async mark(partition: number, peers: readonly string[], early: EarlyReason): Promise<void> {
    const number = ++this.#lastMark
    const changed = peers.filter((peer) => {
      const { entries, marks } = this.#of(peer)
      const before = entries.get(partition) ?? blank
      marks.set(partition, number)
      entries.set(partition, { ...before, early: before.early ?? early })
      return before.early === null
    })
    await Promise.all(changed.map((peer) => this.#write(peer)))
  }

  /**
   * Takes in how an exchange with the peer ended that began when the ledger stood at `since`. `nowMs` is wall clock.
   * Resolves once it is durable.
   */
  async note(
    peer: string,
    outcomes: ReadonlyMap<number, PartitionOutcome>,
    { since, nowMs }: { readonly since: number; readonly nowMs: number }
  ): Promise<void> {
    const { entries, marks } = this.#of(peer)
    let isNews = false
    for (const [partition, outcome] of outcomes) {
      const before = entries.get(partition) ?? blank
      const isEqual = outcome.verdict === 'equal'
      const clearsMark = isEqual && (marks.get(partition) ?? 0) <= since
      if (clearsMark) marks.delete(partition)
      entries.set(partition, {
        ...added(before, outcome),
        lastEqualMs: isEqual ? nowMs : before.lastEqualMs,
        early: clearsMark ? null : before.early
      })
      isNews ||= isEqual
    }
    if (isNews) await this.#write(peer)
  }

  /** The peer is no member any more. */
  async forget(peer: string): Promise<void> {
    this.#peers.set(peer, { entries: new Map(), marks: new Map() })
    await this.#write(peer)
    this.#peers.delete(peer)
  }

  #of(peer: string): PeerLedger {
    let ledger = this.#peers.get(peer)
    if (ledger === undefined) {
      ledger = this.#load(peer)
      this.#peers.set(peer, ledger)
    }
    return ledger
  }

  // What cannot be read counts as never compared, which costs an exchange and nothing else.
  #load(peer: string): PeerLedger {
    const entries = new Map<number, LedgerEntry>()
    const marks = new Map<number, number>()
    const bytes = this.#storage.read(peer)
    if (bytes === null) return { entries, marks }
    try {
      for (const { partition, lastEqualMs, early } of decodeLedger(bytes)) {
        entries.set(partition, { ...blank, lastEqualMs, early })
        if (early !== null) marks.set(partition, ++this.#lastMark)
      }
    } catch (thrown) {
      if (!(thrown instanceof DecodeError)) throw thrown
      this.#log.error({ peer, reason: thrown.message }, 'the repair ledger cannot be read')
    }
    return { entries, marks }
  }

  #write(peer: string): Promise<void> {
    const records = [...this.#of(peer).entries]
      .filter(([, { lastEqualMs, early }]) => lastEqualMs !== null || early !== null)
      .map(([partition, { lastEqualMs, early }]) => ({ partition, lastEqualMs, early }))
    return this.#storage.write(peer, encodeLedger(records))
  }
}

function added(before: LedgerEntry, outcome: PartitionOutcome): LedgerEntry {
  const { verdict } = outcome
  const wasCompared = verdict === 'equal' || verdict === 'differs'
  return {
    ...before,
    last: wasCompared ? verdict : before.last,
    reason: outcome.reason,
    exchanges: before.exchanges + (wasCompared ? 1 : 0),
    differences: before.differences + outcome.differences,
    rowsSent: before.rowsSent + outcome.rowsSent,
    rowsReceived: before.rowsReceived + outcome.rowsReceived,
    bytesSent: before.bytesSent + outcome.bytesSent,
    bytesReceived: before.bytesReceived + outcome.bytesReceived,
    roundTrips: before.roundTrips + outcome.roundTrips
  }
}
