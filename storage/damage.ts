import { compareDots, type Dot } from './version-vector.ts'

/** Everything of a key's row, or only these values that are kept apart. */
export type Damage = 'row' | readonly Dot[]

/** A row that cannot be trusted. */
export class DamagedRowError extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'DamagedRowError'
  }
}

/** Whether blocks or whole files cannot be read, in the words of LevelDB. */
export function isDamage(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  return /corrupt|IO error|\.ldb: /i.test(thrown.message) || isDamage(thrown.cause)
}

// Of a table that was cut off to nothing, which cannot be mapped, LevelDB only says that an argument is invalid.
const damagedFiles = /corrupt|IO error: .*(No such file|\.ldb: Invalid argument)/i

/** Whether files of the database are damaged or gone, in the words of LevelDB, so that a salvage helps, and nothing else. */
export function areFilesDamaged(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  return thrown.cause === undefined
    ? damagedFiles.test(thrown.message)
    : areFilesDamaged(thrown.cause)
}

const keysMax = 65_536

/**
 * The damage that is known and not healed yet, by the id of the key. A damaged row counts as missing; each is reported
 * once, however often it is read. Bounded: what is forgotten is found again when it is read again.
 */
export class DamageList {
  readonly #keys = new Map<string, Damage>()

  get isEmpty(): boolean {
    return this.#keys.size === 0
  }

  get(id: string): Damage | undefined {
    return this.#keys.get(id)
  }

  has(id: string): boolean {
    return this.#keys.has(id)
  }

  /** Whether there is any of ids from `from` up to and without `to`. */
  hasIn(from: string, to: string): boolean {
    for (const id of this.#keys.keys()) if (id >= from && id < to) return true
    return false
  }

  /** Answers whether this is news. */
  addRow(id: string): boolean {
    if (this.#keys.get(id) === 'row') return false
    this.#set(id, 'row')
    return true
  }

  addValue(id: string, dot: Dot): boolean {
    const known = this.#keys.get(id)
    // A row whose values are read is one that can be read.
    const dots = known === undefined || known === 'row' ? [] : known
    if (dots.some((other) => compareDots(other, dot) === 0)) return false
    this.#set(id, [...dots, dot])
    return true
  }

  /** The next ones in turn, so that those that cannot be healed now do not keep the others waiting. */
  take(countMax: number): string[] {
    const ids = [...this.#keys.keys()].slice(0, countMax)
    for (const id of ids) {
      const damage = this.#keys.get(id)
      this.#keys.delete(id)
      if (damage !== undefined) this.#keys.set(id, damage)
    }
    return ids
  }

  healed(id: string): void {
    this.#keys.delete(id)
  }

  #set(id: string, damage: Damage): void {
    this.#keys.set(id, damage)
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= keysMax) return
      this.#keys.delete(oldest)
    }
  }
}
