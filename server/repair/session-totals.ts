import type { ResponderReport } from '../../repair/reconcile/reconcile-responder-runner.ts'
import {
  addCounters,
  noCounters,
  type SessionCounters,
  type SessionOutcome
} from '../../repair/session-outcome.ts'

export interface PeerTotals {
  readonly counters: SessionCounters
  /** Exchanges that the peer began. */
  readonly answered: number
  /** Exchanges that this node began, by how they ended. */
  readonly ends: Readonly<Record<SessionOutcome['end'], number>>
  /** Keys that differed among those in the partitions of the last exchange that was carried out; null: there was none. */
  readonly divergence: number | null
}

const nothing: PeerTotals = {
  counters: noCounters,
  answered: 0,
  ends: { done: 0, busy: 0, failed: 0, cancelled: 0 },
  divergence: null
}

/** What exchanges have come to, by peer, since this node started. */
export class SessionTotals {
  readonly #peers = new Map<string, PeerTotals>()
  readonly #keysIn: (partition: number) => number

  constructor(keysIn: (partition: number) => number) {
    this.#keysIn = keysIn
  }

  /** The peers that there were exchanges with. */
  get byPeer(): ReadonlyMap<string, PeerTotals> {
    return this.#peers
  }

  note(peer: string, outcome: SessionOutcome): void {
    const before = this.#peers.get(peer) ?? nothing
    this.#peers.set(peer, {
      answered: before.answered,
      counters: addCounters(before.counters, {
        ...outcome.counters,
        rowsToShip: 0,
        leavesToCompare: 0
      }),
      ends: { ...before.ends, [outcome.end]: before.ends[outcome.end] + 1 },
      divergence: this.#divergenceOf(outcome) ?? before.divergence
    })
  }

  /** The peer began it; this side only knows what it sent and took. */
  noteAnswered(report: ResponderReport): void {
    const { peer, rowsSent, rowsReceived, bytesSent, bytesReceived } = report
    const before = this.#peers.get(peer) ?? nothing
    const counters = {
      ...noCounters,
      rowsSent,
      rowsReceived,
      dataBytesSent: bytesSent,
      dataBytesReceived: bytesReceived
    }
    const answered = before.answered + 1
    this.#peers.set(peer, {
      ...before,
      counters: addCounters(before.counters, counters),
      answered
    })
  }

  forget(peer: string): void {
    this.#peers.delete(peer)
  }

  #divergenceOf({ end, partitions, counters }: SessionOutcome): number | null {
    if (end !== 'done') return null
    let keys = 0
    for (const [partition, { verdict }] of partitions) {
      if (verdict === 'equal' || verdict === 'differs') keys += this.#keysIn(partition)
    }
    return keys === 0 ? 0 : Math.min(1, counters.differences / keys)
  }
}
