import type { Clock, Log, RandomSource, TimerHandle, Timers } from '../core/ports.ts'
import { hintRowKey } from '../storage/hint-row.ts'
import type { Hint, HintStore } from '../storage/hint-store.ts'
import { type ObjectKey, rowAfter } from '../storage/keys.ts'
import type { Versions } from '../storage/version.ts'
import { DeliveryPace, type DeliveryVerdict } from './delivery-pace.ts'
import { type HintRoute, hintAgeMs, routeHint } from './hint-route.ts'
import type { WorkShare } from './work-share.ts'

/** How a delivery ended; the reason is one of a few words, for metrics. */
export interface DeliveryOutcome {
  readonly verdict: DeliveryVerdict
  readonly reason: string
}

export interface HintDeliveryOptions {
  readonly selfId: string
  readonly hints: HintStore
  readonly clock: Clock
  readonly timers: Timers
  readonly random: RandomSource
  /** How often it looks whether a target is back. */
  readonly lookEveryMs: number
  readonly log: Log
  readonly maxAgeMs: number
  readonly partitionOf: (key: ObjectKey) => number
  readonly replicasOf: (key: ObjectKey) => readonly string[]
  /** Names the ring: where it changes, hints may belong elsewhere. */
  readonly ringEpoch: () => string
  /** Whether a node, this one included, can be given something at the moment. */
  readonly canTake: (id: string) => boolean
  /** Gives a node, which may be this one, the object; calls back once it is durable there, or why it is not. */
  readonly send: (
    to: string,
    key: ObjectKey,
    versions: Versions,
    done: (outcome: DeliveryOutcome) => void
  ) => void
  /** Whether this node's own row says all that the versions say, durably. */
  readonly isHeldHere: (key: ObjectKey, versions: Versions) => boolean
  /** Resolves once so many bytes may be sent. */
  readonly budget: (bytes: number) => Promise<void>
  /** That of the node, for everything that repairs. */
  readonly share: WorkShare
  /** What the governor leaves of the full rate: 1 is all of it. */
  readonly rateLeft: () => number
  /** A hint went to others: the target needs an exchange of the partition soon. */
  readonly onRangeMissed: (partition: number, target: string) => void
}

/** Counted since the node started; `overdue` is how many the last look found. */
export interface HintDeliveryCounters {
  delivered: number
  expired: number
  overdue: number
  readonly failures: Map<string, number>
}

/** What is going on for one target. */
interface Course {
  readonly pace: DeliveryPace
  /** Since when the visit has been at work without a rest. */
  beganMs: number
  visit: Promise<void> | null
  /** Where the next visit begins, so that hints that cannot be delivered do not keep the others from their turn. */
  from: Buffer | null
  /** The ring of the last visit that came to the end. */
  epoch: string
  expiryLookMs: number
  overdue: number
  wake: () => void
}

/** What one visit came by. `stranded`: not for the target any more, and nobody is there to take it. */
interface Found {
  overdue: number
  stranded: number
  refused: number
}

const expiryLookEveryMs = 30_000
const sliceHints = 32
/**
 * While users are at work this many go to a target at once, and the next ones only when all of these have landed: both
 * sides write such a burst to disk in one batch each, where a trickle would have a sync for every few of them.
 */
const burstWhenBusy = 32
/**
 * Less than for exchanges: most of what counts as work here is waiting for the target. Where the governor has slowed
 * repair down it is more: hints are small, and their bytes would hardly ever meet its limit.
 */
const restPerWorkAtMost = 2
const rateLeftMin = 1 / 64

/**
 * Hands hints over: looks now and then who is back, and walks what waits for it in the order of tokens, in small slices,
 * with a bounded number in flight, and no faster than the share of repair allows. Everything may be repeated: a hint is
 * deleted only after the very object that it holds was acknowledged, and who gets an object twice merges it twice.
 */
export class HintDelivery {
  readonly #options: HintDeliveryOptions
  readonly #courses = new Map<string, Course>()
  readonly #counters: HintDeliveryCounters = {
    delivered: 0,
    expired: 0,
    overdue: 0,
    failures: new Map()
  }
  #timer: TimerHandle | null = null
  #closed = false

  constructor(options: HintDeliveryOptions) {
    this.#options = options
  }

  get counters(): HintDeliveryCounters {
    let overdue = 0
    for (const course of this.#courses.values()) overdue += course.overdue
    return { ...this.#counters, overdue }
  }

  start(): void {
    const { timers, random, lookEveryMs } = this.#options
    if (this.#closed) return
    const delayMs = lookEveryMs * (0.75 + random.fraction() / 2)
    this.#timer = timers.set(() => {
      this.#look()
      this.start()
    }, delayMs)
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) this.#options.timers.clear(this.#timer)
    for (const course of this.#courses.values()) course.wake()
  }

  /** Tries everything that can be delivered now, whatever was to wait. Resolves when each target had its turn. */
  async flush(): Promise<void> {
    const visits = this.#options.hints.targets.map((target) => {
      const course = this.#course(target)
      course.pace.hurry()
      course.expiryLookMs = 0
      if (course.visit === null) course.from = null
      this.#visitWhereWorthwhile(target, course)
      return course.visit
    })
    await Promise.all(visits)
  }

  #look(): void {
    const { hints } = this.#options
    const targets = new Set(hints.targets)
    for (const target of targets) this.#visitWhereWorthwhile(target, this.#course(target))
    for (const [target, { visit }] of this.#courses) {
      if (visit === null && !targets.has(target)) this.#courses.delete(target)
    }
  }

  #course(target: string): Course {
    const known = this.#courses.get(target)
    if (known !== undefined) return known
    const course: Course = {
      pace: new DeliveryPace(),
      beganMs: 0,
      visit: null,
      from: null,
      epoch: '',
      expiryLookMs: 0,
      overdue: 0,
      wake: () => {}
    }
    this.#courses.set(target, course)
    return course
  }

  #visitWhereWorthwhile(target: string, course: Course): void {
    const { clock, log } = this.#options
    if (this.#closed || course.visit !== null) return
    if (course.pace.isPausing(clock.monotonic()) || !this.#isWorthwhile(target, course)) return
    course.visit = this.#visit(target, course)
      .catch((error: unknown) => log.warn({ target, error }, 'delivering hints was broken off'))
      .finally(() => {
        course.visit = null
      })
  }

  /** A million hints are not walked for nothing: only where some of them may be able to leave. */
  #isWorthwhile(target: string, course: Course): boolean {
    const { canTake, ringEpoch, clock } = this.#options
    if (canTake(target) || course.epoch !== ringEpoch()) return true
    return clock.monotonic() >= course.expiryLookMs && this.#hasExpired(target)
  }

  #hasExpired(target: string): boolean {
    const { hints, maxAgeMs } = this.#options
    const oldestMs = hints.oldestMs(target)
    return oldestMs !== null && oldestMs >= maxAgeMs
  }

  async #visit(target: string, course: Course): Promise<void> {
    const { hints, ringEpoch, clock, random } = this.#options
    const epoch = ringEpoch()
    const isWhole = course.from === null
    const found: Found = { overdue: 0, stranded: 0, refused: 0 }
    course.expiryLookMs = clock.monotonic() + expiryLookEveryMs
    course.beganMs = clock.monotonic()
    do {
      const slice = await hints.walk(target, course.from, sliceHints)
      for (const hint of slice.hints) {
        await this.#giveWay(course)
        await this.#handle(hint, course, found)
        if (this.#closed || course.pace.isPausing(clock.monotonic())) return this.#landed(course)
      }
      course.from = slice.next
    } while (course.from !== null)
    await this.#landed(course)
    if (found.refused > 0) course.pace.rest(clock.monotonic(), random)
    if (!isWhole) return
    course.overdue = found.overdue
    if (found.stranded === 0) course.epoch = epoch
  }

  /** Rests between the bursts, and not within one. */
  async #giveWay(course: Course): Promise<void> {
    const { share, rateLeft } = this.#options
    const { pace } = course
    if (share.isBusy) {
      if (pace.inFlight > 0 && pace.hasRoomInBurst(burstWhenBusy)) return
      await this.#landed(course)
    }
    const restPerWork = restPerWorkAtMost / Math.max(rateLeft(), rateLeftMin)
    course.beganMs = await share.giveWay(course.beganMs, restPerWork)
  }

  async #handle(hint: Hint, course: Course, found: Found): Promise<void> {
    const route = this.#route(hint)
    if (route.kind === 'wait') {
      if (route.overdue) found.overdue++
      if (!route.isForTarget) found.stranded++
    } else if (route.needed === 0) this.#arrived(hint, route.kind)
    else await this.#sendToAll(hint, route, course, found)
  }

  #route(hint: Hint): HintRoute {
    const { selfId, replicasOf, canTake, clock, maxAgeMs, isHeldHere } = this.#options
    return routeHint({
      target: hint.target,
      selfId,
      replicas: replicasOf(hint.key),
      canTake,
      isExpired: hintAgeMs(hint.storedMs, clock.now()) >= maxAgeMs,
      isHeldHere: () => isHeldHere(hint.key, hint.versions)
    })
  }

  async #sendToAll(
    hint: Hint,
    { kind, to, needed }: Exclude<HintRoute, { kind: 'wait' }>,
    course: Course,
    found: Found
  ): Promise<void> {
    let acknowledged = 0
    for (const id of to) {
      await this.#send(hint, id, course, found, () => {
        if (++acknowledged === needed) this.#arrived(hint, kind)
      })
    }
  }

  async #send(
    hint: Hint,
    to: string,
    course: Course,
    found: Found,
    onAcknowledged: () => void
  ): Promise<void> {
    const { budget, clock, random, send } = this.#options
    const { pace } = course
    await this.#until(course, () => pace.hasRoom)
    await budget(hint.bytes)
    if (this.#closed || pace.isPausing(clock.monotonic())) return
    pace.sent(hint.bytes)
    send(to, hint.key, hint.versions, ({ verdict, reason }) => {
      if (verdict === 'pushedBack' && pace.wentAlone) course.from = justAfter(hint)
      pace.heard(verdict, hint.bytes, clock.monotonic(), random)
      if (verdict === 'refused') found.refused++
      if (verdict !== 'acknowledged') this.#countFailure(reason)
      else if (!this.#closed) onAcknowledged()
      course.wake()
    })
  }

  #arrived(hint: Hint, kind: 'deliver' | 'handOver'): void {
    if (kind === 'handOver') return this.#expire(hint)
    if (this.#delete(hint)) this.#counters.delivered++
  }

  #expire(hint: Hint): void {
    const { onRangeMissed, partitionOf } = this.#options
    // Marked first: if this node stops in between, the partition is repaired once too often and not once too little.
    onRangeMissed(partitionOf(hint.key), hint.target)
    if (this.#delete(hint)) this.#counters.expired++
  }

  #delete({ target, key, objectHash }: Hint): boolean {
    try {
      return this.#options.hints.deleteIfUnchanged(target, key, objectHash) === 'deleted'
    } catch (error) {
      // The store has stopped; the hint is there at the next start, and is delivered once more.
      this.#options.log.debug({ target, error }, 'a hint that was delivered stays')
      return false
    }
  }

  #countFailure(reason: string): void {
    const { failures } = this.#counters
    failures.set(reason, (failures.get(reason) ?? 0) + 1)
  }

  #landed(course: Course): Promise<void> {
    return this.#until(course, () => course.pace.inFlight === 0)
  }

  /** There is one visit a target, and so at most one who waits. */
  async #until(course: Course, holds: () => boolean): Promise<void> {
    while (!this.#closed && !holds()) {
      await new Promise<void>((resolve) => {
        course.wake = resolve
      })
    }
  }
}

/**
 * Who pushes back may be unable to take this one, and never will: after the pause the next one has its turn. Where
 * several were on their way together, nobody knows which of them it was, and fewer go at once until one fails alone.
 */
function justAfter({ target, key }: Hint): Buffer {
  return rowAfter(hintRowKey(target, key))
}
