import { AnnealError } from '../../core/errors.ts'
import type { Clock, TimerHandle, Timers } from '../../core/ports.ts'
import { turnMsMax, type WorkShare } from '../work-share.ts'
import type { Call, LeavesOf, Result, Results, RowSetAside } from './calls.ts'
import { Gate } from './gate.ts'
import type { LeafListing, RangeSide, RowOutcome, ShippedRow, WantedRow } from './range-side.ts'
import type { Effect, Outcome } from './script.ts'

export interface PerformerOptions {
  readonly side: RangeSide
  readonly peer: string
  readonly clock: Clock
  readonly timers: Timers
  /** That of the node, for all of its exchanges. */
  readonly share: WorkShare
  /** Resolves once so many bytes may be moved; see the governor. */
  readonly budget: (bytes: number) => Promise<void>
  /** How long a script may wait for that; absent: for ever. */
  readonly budgetWaitMs?: number
  /** Sends a request of the session and tells its answer; the responding side asks nothing. */
  readonly ask: (call: Extract<Call, { kind: 'ask' }>) => Promise<Buffer>
}

/** A machine that is driven: a session, or what answers one question of it. */
export interface Driven {
  start(): readonly Effect[]
  step(id: number, outcome: Outcome): readonly Effect[]
  isOver(): boolean
}

/** Rows that are read or taken in, or partitions, between two looks at the clock. */
const atOnce = 8

/**
 * Carries out what scripts ask for. Outcomes are queued and worked off for a few milliseconds a turn, and no faster than
 * the share of repair allows, so that an exchange of any size leaves the node to its users. After `stop` nothing more is
 * begun.
 */
export class CallPerformer {
  readonly #options: PerformerOptions
  readonly #queue: (() => void)[] = []
  readonly #timers = new Set<TimerHandle>()
  readonly #intake = new Gate()
  readonly #listing = new Gate()
  #scheduled = false
  #stopped = false

  constructor(options: PerformerOptions) {
    this.#options = options
  }

  /** Runs a machine to its end, of which `onEnd` is told once; a machine that is stopped has none. */
  drive(machine: Driven, onEnd: () => void): void {
    let ended = false
    const carryOut = (effects: readonly Effect[]): void => {
      for (const { id, call } of effects) {
        const tell = (outcome: Outcome) => this.#enqueue(() => carryOut(machine.step(id, outcome)))
        this.#perform(call).then(
          (result) => tell({ kind: 'done', result }),
          (error: unknown) => tell({ kind: 'failed', error })
        )
      }
      if (ended || !machine.isOver()) return
      ended = true
      onEnd()
    }
    this.#enqueue(() => carryOut(machine.start()))
  }

  stop(): void {
    this.#stopped = true
    this.#queue.length = 0
    for (const timer of this.#timers) this.#options.timers.clear(timer)
    this.#timers.clear()
  }

  #enqueue(work: () => void): void {
    if (this.#stopped) return
    this.#queue.push(work)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const timer = this.#options.share.next(() => {
      if (timer !== null) this.#timers.delete(timer)
      this.#scheduled = false
      this.#work()
    })
    if (timer !== null) this.#timers.add(timer)
  }

  #work(): void {
    const { clock, share } = this.#options
    const beganMs = clock.monotonic()
    for (let work = this.#queue.shift(); work !== undefined; work = this.#queue.shift()) {
      work()
      if (clock.monotonic() >= beganMs + turnMsMax) break
    }
    share.worked(beganMs)
    if (this.#queue.length > 0) this.#schedule()
  }

  async #perform(call: Call): Promise<Result> {
    const { side, clock, ask } = this.#options
    switch (call.kind) {
      case 'ask':
        return { kind: 'ask', value: await ask(call) }
      case 'now':
        return { kind: 'now', value: clock.now() }
      case 'turn':
        return { kind: 'turn', value: null }
      case 'wait':
        await this.#wait(call.delayMs)
        return { kind: 'wait', value: null }
      case 'budget':
        return { kind: 'budget', value: await this.#budget(call.bytes) }
      case 'charge':
        void this.#options.budget(call.bytes)
        return { kind: 'charge', value: null }
      case 'snapshots':
        return { kind: 'snapshots', value: await this.#snapshots(call.partitions) }
      case 'verify':
        await side.verify(call.partitions)
        return { kind: 'verify', value: null }
      case 'list':
        return { kind: 'list', value: await this.#list(call.wanted) }
      case 'read':
        return { kind: 'read', value: await this.#read(call.wanted) }
      case 'slice':
        return { kind: 'slice', value: await side.slice(call.request) }
      case 'receive':
        return { kind: 'receive', value: await this.#receive(call.rows) }
      case 'setAside':
        await this.#setAside(call.rows)
        return { kind: 'setAside', value: null }
      case 'sync':
        await side.sync()
        return { kind: 'sync', value: null }
      case 'prepareProof':
        this.#checkRunning()
        await side.prepareProof(call.note)
        return { kind: 'prepareProof', value: null }
      case 'noteProof':
        this.#checkRunning()
        await side.noteProof(call.note)
        return { kind: 'noteProof', value: null }
    }
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.timers.set(() => {
        this.#timers.delete(timer)
        resolve()
      }, delayMs)
      this.#timers.add(timer)
    })
  }

  async #budget(bytes: number): Promise<boolean> {
    const { budget, budgetWaitMs, timers } = this.#options
    const passed = budget(bytes).then(() => true)
    if (budgetWaitMs === undefined) return passed
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = timers.set(() => resolve(false), budgetWaitMs)
    this.#timers.add(timer)
    try {
      return await Promise.race([passed, promise])
    } finally {
      timers.clear(timer)
      this.#timers.delete(timer)
    }
  }

  /** Where many leaves have changed, the trees of all partitions take some hundred milliseconds. */
  #snapshots(partitions: readonly number[]): Promise<Results['snapshots']> {
    const { side } = this.#options
    return this.#inTurns(partsOf(partitions), (part) => side.snapshots(part))
  }

  /**
   * One request after the other: the sooner a listing is compared with the peer's, the fewer of the rows that are being
   * written differ in it.
   */
  #list(wanted: readonly LeavesOf[]): Promise<LeafListing[]> {
    const { side } = this.#options
    return this.#listing.inside(() =>
      this.#inTurns(wanted, ({ partition, leaves }) => side.list(partition, leaves))
    )
  }

  #read(wanted: readonly WantedRow[]): Promise<(ShippedRow | null)[]> {
    const { side } = this.#options
    return this.#inTurns(partsOf(wanted), (part) => side.readRows(part))
  }

  /**
   * One message after the other, so that for each the next is asked for while others are taken in. Side by side all would
   * be done at once, and then there would be nothing to do until the peer has answered. Rows about which others are asked
   * hold up no other message.
   */
  #receive(rows: readonly ShippedRow[]): Promise<RowOutcome[]> {
    return this.#intake.inside(() =>
      this.#inTurns(partsOf(rows), (part) => this.#receivePart(part))
    )
  }

  async #receivePart(rows: readonly ShippedRow[]): Promise<readonly RowOutcome[]> {
    const { side, peer } = this.#options
    this.#checkRunning()
    const outcomes = await side.receive(rows, peer, () => !this.#stopped)
    return areKnown(outcomes) ? outcomes : this.#intake.outside(Promise.all(outcomes))
  }

  /** Does the parts one after the other, leaves the node to others in between, and puts together what comes of them. */
  async #inTurns<T, R>(parts: Iterable<T>, work: (part: T) => Promise<readonly R[]>): Promise<R[]> {
    const { clock, share } = this.#options
    const results: R[] = []
    let beganMs = clock.monotonic()
    for (const part of parts) {
      for (const result of await work(part)) results.push(result)
      beganMs = await share.giveWay(beganMs)
    }
    return results
  }

  async #setAside(rows: readonly RowSetAside[]): Promise<void> {
    for (const { key, dots } of rows) {
      this.#checkRunning()
      await this.#options.side.setAside(key, dots, this.#options.peer)
    }
  }

  // Nothing is written any more by a session that was cancelled, not even the rest of what had just arrived.
  #checkRunning(): void {
    if (this.#stopped) throw new AnnealError('not_ready', 'the exchange was ended')
  }
}

function areKnown(
  outcomes: readonly (RowOutcome | Promise<RowOutcome>)[]
): outcomes is readonly RowOutcome[] {
  return !outcomes.some((outcome) => outcome instanceof Promise)
}

function* partsOf<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += atOnce) yield all.slice(at, at + atOnce)
}
