/** This node's own view of another: up, or down, and since when. Times are monotonic milliseconds. */
export interface Opinion {
  readonly up: boolean
  readonly sinceMs: number
}

/** What was observed of one node; `opinionOf` draws the conclusions. */
interface Observation {
  /** A connection is open. */
  readonly connected: boolean
  /** When the connection that is open, or was last, brought something for the last time; null: never. */
  readonly heardMs: number | null
  /** Up since then, as long as `heardMs` is not too long ago; meaningless while it was never heard. */
  readonly upSinceMs: number
  /** Down since then, where nothing was heard from the connection. */
  readonly downSinceMs: number
}

/**
 * Which nodes this one takes to be up: a local opinion, drawn from nothing but the links it has to them, as Dynamo
 * found sufficient. Down at once when the link breaks, down after `silenceMs` in which nothing was heard, up again only
 * when there is a link and something came over it. A node that was never seen is down.
 *
 * It has no clock: observations and questions bring the time with them, in monotonic milliseconds, and asking changes
 * nothing.
 */
export class FailureDetector {
  readonly #silenceMs: number
  readonly #observations = new Map<string, Observation>()

  constructor(options: { readonly silenceMs: number }) {
    this.#silenceMs = options.silenceMs
  }

  /** A link to the node is open. It counts once something is heard over it. */
  connected(id: string, nowMs: number): void {
    const before = this.#observations.get(id)
    if (before?.connected === true) return
    const downSinceMs = before?.downSinceMs ?? nowMs
    this.#observations.set(id, { connected: true, heardMs: null, upSinceMs: nowMs, downSinceMs })
  }

  /** The link to the node is gone. */
  disconnected(id: string, nowMs: number): void {
    const before = this.#observations.get(id)
    if (before?.connected !== true) return
    const opinion = this.#conclude(before, nowMs)
    const downSinceMs = opinion.up ? nowMs : opinion.sinceMs
    this.#observations.set(id, { connected: false, heardMs: null, upSinceMs: nowMs, downSinceMs })
  }

  /** Something came from the node. Ignored without a link: it was on its way when the link broke. */
  heard(id: string, nowMs: number): void {
    const before = this.#observations.get(id)
    if (before?.connected !== true) return
    const upSinceMs = this.#conclude(before, nowMs).up ? before.upSinceMs : nowMs
    this.#observations.set(id, { ...before, heardMs: nowMs, upSinceMs })
  }

  /** This node did nothing for so long, not even listen: nobody was silent then. */
  excuse(pausedMs: number, nowMs: number): void {
    for (const [id, before] of this.#observations) {
      if (before.heardMs === null || !this.#conclude(before, nowMs - pausedMs).up) continue
      this.#observations.set(id, { ...before, heardMs: Math.min(nowMs, before.heardMs + pausedMs) })
    }
  }

  /** Forgets a node that left the cluster, as if it had never been seen. */
  forget(id: string): void {
    this.#observations.delete(id)
  }

  isUp(id: string, nowMs: number): boolean {
    const observation = this.#observations.get(id)
    return observation !== undefined && this.#conclude(observation, nowMs).up
  }

  /** What is thought of every node that was ever seen. */
  opinions(nowMs: number): ReadonlyMap<string, Opinion> {
    const opinions = new Map<string, Opinion>()
    for (const [id, observation] of this.#observations) {
      opinions.set(id, this.#conclude(observation, nowMs))
    }
    return opinions
  }

  /** The time at which an opinion changes if nothing is observed until then; null where none would. */
  nextChangeMs(nowMs: number): number | null {
    let next: number | null = null
    for (const observation of this.#observations.values()) {
      const silentMs = this.#silentMs(observation)
      if (silentMs <= nowMs) continue
      next = next === null ? silentMs : Math.min(next, silentMs)
    }
    return next
  }

  #conclude(observation: Observation, nowMs: number): Opinion {
    const silentMs = this.#silentMs(observation)
    if (nowMs < silentMs) return { up: true, sinceMs: observation.upSinceMs }
    const fellSilent = observation.heardMs !== null
    return { up: false, sinceMs: fellSilent ? silentMs : observation.downSinceMs }
  }

  /** When silence makes the node down; in the infinite past where nothing came over the link at all. */
  #silentMs({ heardMs }: Observation): number {
    return heardMs === null ? Number.NEGATIVE_INFINITY : heardMs + this.#silenceMs
  }
}
