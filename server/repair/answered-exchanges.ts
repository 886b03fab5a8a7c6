import type { Failure, Reconciled, ReconcileRequest } from '../../proto/frames.ts'
import {
  ReconcileResponder,
  type ReconcileResponderOptions,
  type ResponderReport
} from '../../repair/reconcile/reconcile-responder-runner.ts'
import { nothingShipped, type PartitionOutcome } from '../../repair/session-outcome.ts'

export interface AnsweredExchangesOptions extends Omit<ReconcileResponderOptions, 'onEnd'> {
  readonly selfId: string
  /** Peers that may compare themselves with this node at the same time. */
  readonly concurrency: number
  /** Where the ledger stands. */
  readonly ledgerNow: () => number
  /** `since`: where the ledger stood when the exchange began. */
  readonly onEnd: (
    report: ResponderReport,
    outcomes: ReadonlyMap<number, PartitionOutcome>,
    since: number
  ) => void
}

type Respond = (response: Reconciled | Failure) => void

/** The exchanges that other nodes began with this one: bounded in number, and accounted for. */
export class AnsweredExchanges {
  readonly #options: AnsweredExchangesOptions
  readonly #responder: ReconcileResponder
  /** By peer, where the ledger stood when its exchange began. */
  readonly #since = new Map<string, number>()

  constructor(options: AnsweredExchangesOptions) {
    this.#options = options
    this.#responder = new ReconcileResponder({ ...options, onEnd: (report) => this.#end(report) })
  }

  get inProgress(): number {
    return this.#responder.sessions
  }

  /** Errors: DecodeError for a question that cannot be read. Everything else is told by `respond`, once. */
  handle(request: ReconcileRequest, peer: string, respond: Respond): void {
    const { concurrency, selfId, ledgerNow } = this.#options
    const isOpen = this.#responder.isOpenWith(peer)
    if (!isOpen && this.#responder.sessions >= concurrency) {
      const message = `${selfId} compares itself with ${concurrency} other nodes already`
      return respond({ kind: 'failure', code: 'overloaded', message, details: '' })
    }
    const now = ledgerNow()
    if (!isOpen) this.#since.set(peer, now)
    try {
      this.#responder.handle(request, peer, respond)
    } finally {
      // What was late has begun nothing; what replaces an exchange that was given up is another one.
      if (!this.#responder.isOpenWith(peer)) this.#since.delete(peer)
      else if (!this.#since.has(peer)) this.#since.set(peer, now)
    }
  }

  /** Ends all of them: this node stops, or goes by another ring now. */
  close(): void {
    this.#responder.close()
  }

  #end(report: ResponderReport): void {
    const since = this.#since.get(report.peer) ?? 0
    this.#since.delete(report.peer)
    const outcomes = new Map(report.proven.map((partition) => [partition, equal]))
    this.#options.onEnd(report, outcomes, since)
  }
}

/** Rows are not told apart by partition on this side; the account of the peer has them all. */
const equal: PartitionOutcome = { verdict: 'equal', reason: '', ...nothingShipped }
