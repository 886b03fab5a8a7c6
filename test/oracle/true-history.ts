import type { ConflictMode, Version, Versions } from '../../storage/version.ts'
import { compareDots, covers, formatDot, type VersionVector } from '../../storage/version-vector.ts'

/** The number of a write in a life. */
export type WriteId = number

/** What a client may hand back with a write, and what it has really been shown. */
export interface Knowledge {
  readonly vector: VersionVector
  readonly timeMs: number
  readonly seen: ReadonlySet<WriteId>
}

/** Everything that went wrong in a life; a sound scheme leaves all of it at zero. */
export interface Verdict {
  /** Versions dropped although no version beside them had been written by somebody who had seen them. */
  lies: number
  /** Versions kept beside, or instead of, one whose writer had seen them. */
  revivals: number
  /** Version vectors that cover a write which their owner had never been shown. */
  falseClaims: number
  /** Dots minted twice, or met with another payload. */
  repeatedDots: number
  /** Acknowledged writes that neither survived nor were overwritten by what survived. */
  lost: number
  /** One where the life ended with replicas of different bytes. */
  diverged: number
}

interface Written {
  readonly id: WriteId
  readonly version: Version
  /** All that the writer had been shown, directly or through what it was shown. */
  readonly seen: ReadonlySet<WriteId>
}

export const nothingKnown: Knowledge = { vector: new Map(), timeMs: 0, seen: new Set() }

/**
 * The oracle: for each version, by its dot, the writes that its writer had really been shown. Replicas know version
 * vectors; this knows the truth that the vectors stand for (causal histories, Schwarz and Mattern 1994).
 */
export class TrueHistory {
  readonly verdict: Verdict = {
    lies: 0,
    revivals: 0,
    falseClaims: 0,
    repeatedDots: 0,
    lost: 0,
    diverged: 0
  }
  readonly #mode: ConflictMode
  readonly #byDot = new Map<string, Written>()
  readonly #byId = new Map<WriteId, Written>()
  readonly #acknowledged = new Set<WriteId>()

  constructor(mode: ConflictMode) {
    this.#mode = mode
  }

  get writes(): number {
    return this.#byId.size
  }

  get acknowledgedWrites(): number {
    return this.#acknowledged.size
  }

  /** Notes a write that was minted, and holds every vector in existence against it. */
  minted(version: Version, seen: ReadonlySet<WriteId>): WriteId {
    const dot = formatDot(version.dot)
    if (this.#byDot.has(dot)) this.verdict.repeatedDots++
    const id = this.#byId.size + 1
    const written = { id, version, seen }
    for (const other of this.#byId.values()) {
      if (covers(other.version.past, version.dot)) this.verdict.falseClaims++
    }
    this.handedOut({ vector: version.past, timeMs: version.timeMs, seen })
    this.#byDot.set(dot, written)
    this.#byId.set(id, written)
    return id
  }

  /** All that somebody knows who is shown these versions. */
  seenIn(versions: Versions): Set<WriteId> {
    const seen = new Set<WriteId>()
    for (const version of versions) {
      const written = this.#of(version)
      seen.add(written.id)
      for (const id of written.seen) seen.add(id)
    }
    return seen
  }

  /**
   * Whether a vector says what its owner has been shown, and no more. Where the latest write wins, it may also cover an
   * earlier one that was not shown: that one is to give way in any case.
   */
  handedOut({ vector, timeMs, seen }: Knowledge): void {
    for (const { id, version } of this.#byId.values()) {
      const claimed = covers(vector, version.dot)
      const givesWay = this.#mode === 'lww' && version.timeMs < timeMs
      if (claimed ? !seen.has(id) && !givesWay : seen.has(id)) this.verdict.falseClaims++
    }
  }

  /** Judges what a replica made of what it held and what arrived. */
  merged(before: Versions, arrived: Versions, after: Versions): void {
    const union = new Map([...before, ...arrived].map((v) => [formatDot(v.dot), this.#of(v)]))
    const kept = new Set(after.map((v) => formatDot(v.dot)))
    const all = [...union.values()]
    for (const [dot, written] of union) {
      const overwritten = all.some((other) => other.seen.has(written.id))
      const surpassed = this.#mode === 'lww' && all.some((other) => isLater(other, written))
      if (!kept.has(dot) && !overwritten && !surpassed) this.verdict.lies++
      if (kept.has(dot) && (overwritten || surpassed)) this.verdict.revivals++
    }
    for (const dot of kept) if (!union.has(dot)) this.verdict.lies++
  }

  /** One dot came with two payloads, and a replica refused to merge them. */
  dotRepeated(): void {
    this.verdict.repeatedDots++
  }

  replicasDiffer(): void {
    this.verdict.diverged++
  }

  acknowledge(id: WriteId): void {
    this.#acknowledged.add(id)
  }

  /** Judges the end of a life, when everything was delivered and every pair has exchanged what it held. */
  ended(alive: Versions): void {
    const survivors = alive.map((version) => this.#of(version))
    for (const id of this.#acknowledged) {
      const written = this.#byId.get(id)
      if (written === undefined) continue
      const survived = survivors.some(
        (other) =>
          other.id === id || other.seen.has(id) || (this.#mode === 'lww' && isLater(other, written))
      )
      if (!survived) this.verdict.lost++
    }
  }

  #of(version: Version): Written {
    const written = this.#byDot.get(formatDot(version.dot))
    if (written === undefined) throw new Error(`${formatDot(version.dot)} was never minted`)
    const same = Buffer.compare(written.version.contentHash, version.contentHash) === 0
    if (!same) this.verdict.repeatedDots++
    return written
  }
}

function isLater(a: Written, b: Written): boolean {
  const difference = a.version.timeMs - b.version.timeMs
  return difference !== 0 ? difference > 0 : compareDots(a.version.dot, b.version.dot) > 0
}
