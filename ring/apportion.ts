import { assert } from '../core/assert.ts'

/**
 * How many partitions each claimant is due: Webster's method of apportionment (Sainte-Laguë), which hands out one seat
 * at a time to whoever has the greatest claim, weight / (2 seats + 1). With equal weights everybody gets the floor or
 * the ceiling of an even share. Like every divisor method it is coherent (Balinski and Young, "Fair Representation"):
 * when somebody joins, the others only lose, and when somebody leaves, the others only gain, so that no partition
 * ever moves between two nodes that were there before and after.
 */

/** Seats held so far and weight, both at one index per claimant. Weights are positive integers. */
export interface Seats {
  readonly counts: Int32Array
  readonly weights: Int32Array
}

/**
 * The seats that are to change hands, used up one by one. Some must, by claimant; where several claimants have exactly
 * the same claim to the last few seats, any choice among them is equally fair, and the caller makes it by other merits.
 */
export class Apportionment {
  readonly #due: Int32Array
  readonly #tied: Set<number>
  #optional: number

  /** `optional` of those in `tied` move one seat each, on top of the seats in `due`, which has an entry per claimant. */
  constructor(due: Int32Array, tied: Set<number>, optional: number) {
    this.#due = due
    this.#tied = tied
    this.#optional = optional
  }

  get remaining(): number {
    return this.#due.reduce((sum, due) => sum + due, this.#optional)
  }

  allows(claimant: number): boolean {
    return (this.#due[claimant] ?? 0) > 0 || (this.#optional > 0 && this.#tied.has(claimant))
  }

  /** Uses up one seat of a claimant that is allowed one. */
  use(claimant: number): void {
    const due = this.#due[claimant] ?? 0
    if (due > 0) {
      this.#due[claimant] = due - 1
      return
    }
    assert(this.#optional > 0 && this.#tied.delete(claimant), 'only an allowed seat is used')
    this.#optional--
  }
}

/** Hands `seats` further seats to the claimants in `candidates`; of equal claims the earlier candidate's comes first. */
export function apportionGains(
  held: Seats,
  candidates: readonly number[],
  seats: number
): Apportionment {
  return apportion(held, candidates, { step: 1, until: (moved) => moved === seats })
}

/** Takes seats for `joiner`, which holds none yet, from `donors`, one at a time for as long as that is fairer. */
export function apportionLosses(
  held: Seats,
  donors: readonly number[],
  joiner: number
): Apportionment {
  const weight = held.weights[joiner] ?? 1
  return apportion(held, donors, {
    step: -1,
    // The donor's claim to its last seat against the joiner's to its next one, multiplied out to stay exact.
    until: (moved, donor, counts) =>
      (2 * moved + 1) * (held.weights[donor] ?? 1) >= (2 * (counts[donor] ?? 0) - 1) * weight
  })
}

interface Direction {
  /** One seat gained or one seat lost at a time. */
  readonly step: 1 | -1
  until(moved: number, next: number, counts: Int32Array): boolean
}

/** A seat that changes hands; its divisor over the claimant's weight says how early. */
interface Move {
  readonly claimant: number
  readonly divisor: number
  readonly weight: number
}

function apportion(
  held: Seats,
  candidates: readonly number[],
  direction: Direction
): Apportionment {
  const { step, until } = direction
  const counts = held.counts.slice()
  const moves: Move[] = []
  let next = nextMove(held, counts, candidates, step)
  while (next !== undefined && !until(moves.length, next.claimant, counts)) {
    moves.push(next)
    counts[next.claimant] = (counts[next.claimant] ?? 0) + step
    next = nextMove(held, counts, candidates, step)
  }
  return splitTies(held, counts, candidates, moves, step)
}

/** The divisor at which a claimant gains its next seat or loses its last one: 2 seats + 1, or 2 seats - 1. */
function moveOf(held: Seats, counts: Int32Array, claimant: number, step: 1 | -1): Move {
  const divisor = 2 * (counts[claimant] ?? 0) + step
  return { claimant, divisor, weight: held.weights[claimant] ?? 1 }
}

/** Compares divisor / weight without dividing; the products stay far below 2^53. */
function compareMoves(a: Move, b: Move): number {
  return a.divisor * b.weight - b.divisor * a.weight
}

function nextMove(
  held: Seats,
  counts: Int32Array,
  candidates: readonly number[],
  step: 1 | -1
): Move | undefined {
  let best: Move | undefined
  for (const candidate of candidates) {
    const move = moveOf(held, counts, candidate, step)
    if (best === undefined || step * compareMoves(move, best) < 0) best = move
  }
  return best
}

/** Tells the moves that are due from those whose claim equals that of the last one; nobody has two of the latter. */
function splitTies(
  held: Seats,
  counts: Int32Array,
  candidates: readonly number[],
  moves: readonly Move[],
  step: 1 | -1
): Apportionment {
  const due = new Int32Array(held.counts.length)
  const tied = new Set<number>()
  const last = moves.at(-1)
  if (last === undefined) return new Apportionment(due, tied, 0)
  for (const move of moves) {
    if (compareMoves(move, last) === 0) tied.add(move.claimant)
    else due[move.claimant] = (due[move.claimant] ?? 0) + 1
  }
  const optional = tied.size
  for (const candidate of candidates) {
    if (compareMoves(moveOf(held, counts, candidate, step), last) === 0) tied.add(candidate)
  }
  return new Apportionment(due, tied, optional)
}
