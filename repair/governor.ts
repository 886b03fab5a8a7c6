/** What is seen of the users' requests and of the process, a few times a second. */
export interface GovernorObservation {
  /** Over the last second; null where there were too few requests to tell. */
  readonly foregroundP99Ms: number | null
  /** How late the event loop runs what is due. Only counts while there are users who would feel it. */
  readonly eventLoopDelayMs: number
  /** Bytes that wait to be written to the database. */
  readonly pendingBytes: number
}

export interface GovernorLimits {
  readonly bytesPerSecondMax: number
  readonly latencyTargetMs: number
  /** Above this the disk is behind, whatever the users feel. */
  readonly pendingBytesTarget: number
}

/** How fast repair may go. */
export interface Pace {
  readonly state: 'running' | 'slowed' | 'paused'
  /** 0 while paused. */
  readonly bytesPerSecond: number
  /** Why it is not running at its full rate; empty where it is. */
  readonly reason: string
}

/** From half a second of trouble on it is no coincidence; one slow request may be. */
const observationsBeforePause = 4
const decreaseFactor = 0.5
/** Back from the lowest rate to the highest in this many good observations. */
const increaseSteps = 40
/** The lowest rate, as a part of the highest: enough to notice that things are better. */
const floorFraction = 1 / 64
const wellAboveFactor = 2

/**
 * Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP yields to other traffic: above the target
 * the rate is halved at every observation; where that does not help, or the target is missed by far, repair pauses;
 * below the target it comes back step by step. Pure: it is stepped at a fixed beat and answers what holds until the
 * next one.
 */
export class Governor {
  readonly #limits: GovernorLimits
  #bytesPerSecond: number
  #paused = false
  #badInARow = 0
  #reason = ''

  constructor(limits: GovernorLimits) {
    this.#limits = limits
    this.#bytesPerSecond = limits.bytesPerSecondMax
  }

  get pace(): Pace {
    if (this.#paused) return { state: 'paused', bytesPerSecond: 0, reason: this.#reason }
    const isFull = this.#bytesPerSecond >= this.#limits.bytesPerSecondMax
    return {
      state: isFull ? 'running' : 'slowed',
      bytesPerSecond: this.#bytesPerSecond,
      reason: isFull ? '' : this.#reason
    }
  }

  step(observation: GovernorObservation): Pace {
    const pressure = pressureOf(observation, this.#limits)
    if (pressure.factor > 1) this.#slowDown(pressure)
    else this.#speedUp()
    return this.pace
  }

  #slowDown({ factor, reason }: Pressure): void {
    this.#reason = reason
    this.#badInARow++
    const wasAtFloor = this.#bytesPerSecond <= this.#floor
    this.#bytesPerSecond = Math.max(this.#floor, this.#bytesPerSecond * decreaseFactor)
    const isHopeless = wasAtFloor || factor > wellAboveFactor
    if (isHopeless && this.#badInARow >= observationsBeforePause) this.#paused = true
  }

  #speedUp(): void {
    this.#badInARow = 0
    const { bytesPerSecondMax } = this.#limits
    if (this.#paused) {
      this.#paused = false
      this.#bytesPerSecond = this.#floor
      return
    }
    const step = bytesPerSecondMax / increaseSteps
    this.#bytesPerSecond = Math.min(bytesPerSecondMax, this.#bytesPerSecond + step)
  }

  get #floor(): number {
    return this.#limits.bytesPerSecondMax * floorFraction
  }
}

interface Pressure {
  /** Above 1: too much. */
  readonly factor: number
  readonly reason: string
}

function pressureOf(observation: GovernorObservation, limits: GovernorLimits): Pressure {
  const { foregroundP99Ms, eventLoopDelayMs, pendingBytes } = observation
  const { latencyTargetMs, pendingBytesTarget } = limits
  const pressures: Pressure[] = [
    {
      factor: pendingBytes / pendingBytesTarget,
      reason: `${Math.round(pendingBytes / 1024)} KiB wait for the disk, which is above ${Math.round(pendingBytesTarget / 1024)} KiB`
    }
  ]
  // With nobody there to be disturbed a late event loop is no reason to be slow.
  if (foregroundP99Ms !== null) {
    pressures.push(
      {
        factor: foregroundP99Ms / latencyTargetMs,
        reason: `foreground p99 ${showMs(foregroundP99Ms)} is above ${showMs(latencyTargetMs)}`
      },
      {
        factor: eventLoopDelayMs / latencyTargetMs,
        reason: `the event loop is ${showMs(eventLoopDelayMs)} late, which is above ${showMs(latencyTargetMs)}`
      }
    )
  }
  return pressures.reduce((worst, next) => (next.factor > worst.factor ? next : worst))
}

function showMs(ms: number): string {
  return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`
}
