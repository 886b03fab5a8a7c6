import { AnnealError } from '../../core/errors.ts'
import type { TimerHandle, Timers } from '../../core/ports.ts'
import type { FactName } from '../../repair/reconcile/range-side.ts'
import type { ReconcileRunner, RunningSession } from '../../repair/reconcile/reconcile-runner.ts'
import { noCounters, type SessionOutcome } from '../../repair/session-outcome.ts'
import type { BeginExchange, ExchangeRequest, RunningExchange } from './exchange.ts'

export interface BeginExchangeOptions {
  readonly runner: ReconcileRunner
  readonly timers: Timers
  /** Asks all members how far they can be vouched for; what the answers say is what the exchange can prove. */
  readonly refreshReports: () => Promise<unknown>
  /** The table that followed. */
  readonly reportTable: () => FactName
}

const progressEveryMs = 200

/** Exchanges over the peer links, each after the reports that it is to prove. */
export function createBeginExchange(options: BeginExchangeOptions): BeginExchange {
  return (request) => new Exchange(options, request)
}

class Exchange implements RunningExchange {
  readonly done: Promise<SessionOutcome>
  readonly #options: BeginExchangeOptions
  readonly #request: ExchangeRequest
  #session: RunningSession | null = null
  #cancelled: string | null = null
  #timer: TimerHandle | null = null

  constructor(options: BeginExchangeOptions, request: ExchangeRequest) {
    this.#options = options
    this.#request = request
    this.done = this.#run()
  }

  cancel(reason: string): void {
    this.#cancelled ??= reason
    this.#session?.cancel(reason)
  }

  async #run(): Promise<SessionOutcome> {
    const { runner, refreshReports, reportTable } = this.#options
    const { peer, partitions, recompute, dryRun } = this.#request
    try {
      // Reports must be older than the snapshots that prove them, so they come first, whatever the exchange finds.
      if (!dryRun) await refreshReports()
      if (this.#cancelled !== null) return unbegun('cancelled', this.#cancelled)
      const session = runner.start({
        peer,
        partitions,
        table: reportTable(),
        recompute,
        dryRun
      })
      this.#session = session
      this.#tellProgress(session)
      const outcome = await session.ended
      this.#request.onProgress(outcome.counters)
      return outcome
    } catch (thrown) {
      return unbegun('failed', AnnealError.from(thrown).message)
    } finally {
      if (this.#timer !== null) this.#options.timers.clear(this.#timer)
    }
  }

  #tellProgress(session: RunningSession): void {
    this.#timer = this.#options.timers.set(() => {
      this.#request.onProgress(session.counters)
      this.#tellProgress(session)
    }, progressEveryMs)
  }
}

function unbegun(end: 'cancelled' | 'failed', reason: string): SessionOutcome {
  return { end, reason, partitions: new Map(), recomputed: [], counters: noCounters }
}
