import type { Clock, TimerHandle, Timers } from '../../core/ports.ts'
import { Governor, type GovernorObservation, type Pace } from '../../repair/governor.ts'
import { Throttle } from '../../repair/throttle.ts'

export interface PacerOptions {
  readonly clock: Clock
  readonly timers: Timers
  readonly bytesPerSecondMax: number
  readonly bytesPerSecondMaxAcrossRegions: number
  readonly latencyTargetMs: number
  readonly pendingBytesTarget: number
  readonly observe: () => GovernorObservation
  /** The pace has gone from one state to another. */
  readonly onChange: (pace: Pace) => void
}

const beatMs = 250

/** Steps the governor at a fixed beat, and holds everything that repair sends to the pace that it gives. */
export class Pacer {
  readonly #options: PacerOptions
  readonly #governor: Governor
  readonly #all: Throttle
  readonly #acrossRegions: Throttle
  #observation: GovernorObservation = {
    foregroundP99Ms: null,
    eventLoopDelayMs: 0,
    pendingBytes: 0
  }
  #timer: TimerHandle | null = null

  constructor(options: PacerOptions) {
    const { clock, timers, bytesPerSecondMax, bytesPerSecondMaxAcrossRegions } = options
    this.#options = options
    this.#governor = new Governor(options)
    this.#all = new Throttle({ clock, timers, bytesPerSecond: bytesPerSecondMax })
    this.#acrossRegions = new Throttle({
      clock,
      timers,
      bytesPerSecond: bytesPerSecondMaxAcrossRegions
    })
  }

  get pace(): Pace {
    return this.#governor.pace
  }

  /** What is left of the full rate: 1 is all of it. */
  get rateLeft(): number {
    return this.#governor.pace.bytesPerSecond / this.#options.bytesPerSecondMax
  }

  /** What the governor saw last. */
  get observation(): GovernorObservation {
    return this.#observation
  }

  get bytesPerSecondMax(): number {
    return this.#options.bytesPerSecondMax
  }

  /** Bytes let through since the start: all of them, and those that went to other regions. */
  get passedBytes(): { readonly all: number; readonly acrossRegions: number } {
    return { all: this.#all.passedBytes, acrossRegions: this.#acrossRegions.passedBytes }
  }

  start(): void {
    this.#timer = this.#options.timers.set(() => this.#beat(), beatMs)
  }

  /** Lets everything through that waits, so that nobody waits for ever for a node that has stopped. */
  close(): void {
    if (this.#timer !== null) this.#options.timers.clear(this.#timer)
    this.#timer = null
    this.#all.close()
    this.#acrossRegions.close()
  }

  /** Resolves once so many bytes may be sent. */
  async pass(bytes: number, isAcrossRegions: boolean): Promise<void> {
    if (isAcrossRegions) await this.#acrossRegions.pass(bytes)
    await this.#all.pass(bytes)
  }

  #beat(): void {
    const { observe, onChange, bytesPerSecondMaxAcrossRegions } = this.#options
    const before = this.#governor.pace
    this.#observation = observe()
    const pace = this.#governor.step(this.#observation)
    this.#all.setRate(pace.bytesPerSecond)
    this.#acrossRegions.setRate(bytesPerSecondMaxAcrossRegions * this.rateLeft)
    if (pace.state !== before.state) onChange(pace)
    this.start()
  }
}
