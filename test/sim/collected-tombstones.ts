import { parseObjectKey } from '../../storage/keys.ts'
import type { Version, Versions } from '../../storage/version.ts'
import { compareDots, covers, formatDot, type VersionVector } from '../../storage/version-vector.ts'
import { versionsOf } from './disk-inspection.ts'

interface Collected {
  readonly atMs: number
  readonly past: VersionVector
}

/** What some node has let go of for good, with all that it had buried: that must never be shown again. */
export class CollectedTombstones {
  readonly #byKey = new Map<string, Collected[]>()
  readonly #mode: 'siblings' | 'lww'

  constructor(mode: 'siblings' | 'lww') {
    this.#mode = mode
  }

  /** An object's row, of which a disk says that it has no tombstone any more. Answers what to note in its history. */
  note(atMs: number, rowId: string, before: Buffer, after: Buffer | undefined): [string, string][] {
    const rowKey = Buffer.from(rowId, 'latin1')
    const name = Buffer.from(parseObjectKey(rowKey).key).toString()
    const left = after === undefined ? [] : versionsOf(rowKey, after)
    const gone = versionsOf(rowKey, before).filter(
      (version) => version.tombstone && !this.#isOverwritten(version, left)
    )
    const known = this.#byKey.get(name) ?? []
    this.#byKey.set(name, [...known, ...gone.map(({ past }) => ({ atMs, past }))])
    return gone.map(({ dot }) => [name, `the tombstone ${formatDot(dot)} is collected`])
  }

  /** Those of the versions that a tombstone had buried which was gone by then. */
  revived(name: string, shown: Versions, byMs: number): Versions {
    return shown.filter((version) => this.hasBuried(name, version, byMs))
  }

  /** Whether a tombstone that was gone by then had buried the version: whoever let it go has met both, and shows neither. */
  hasBuried(name: string, { dot }: Version, byMs = Number.POSITIVE_INFINITY): boolean {
    const known = this.#byKey.get(name) ?? []
    return known.some(({ atMs, past }) => atMs < byMs && covers(past, dot))
  }

  #isOverwritten({ dot }: Version, left: Versions): boolean {
    if (this.#mode === 'lww') return left.length > 0
    return left.some((other) => compareDots(other.dot, dot) === 0 || covers(other.past, dot))
  }
}
