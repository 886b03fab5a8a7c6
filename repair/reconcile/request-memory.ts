import type { Failure, Reconciled } from '../../proto/frames.ts'
import { laneCount } from './tree-descent.ts'

type Respond = (response: Reconciled | Failure) => void

export type Recalled =
  | { readonly kind: 'new' }
  | { readonly kind: 'running'; readonly waiting: Respond[] }
  | { readonly kind: 'answered'; readonly answer: Buffer }
  /** So long ago that nobody waits for it any more. */
  | { readonly kind: 'forgotten' }

const answersMax = 16
const answerBytesMax = 8 * 1024 * 1024
/** The newest answers, which may be on their way just now, are kept whatever they take. */
const answersMin = laneCount
/** Numbers that were passed over, at the most: far more than a peer asks side by side. */
const openMax = 256

/**
 * What was made of the requests of one session, by their numbers: each is carried out once, however often it comes, and
 * its last few answers are kept for those that were lost.
 */
export class RequestMemory {
  readonly #running = new Map<number, Respond[]>()
  /** In the order in which they were answered. */
  readonly #answers = new Map<number, Buffer>()
  #bytes = 0
  #highest = 0
  /** Numbers below the highest that did not arrive yet, since others overtook them, or that failed. */
  readonly #open = new Set<number>()

  recall(number: number): Recalled {
    const waiting = this.#running.get(number)
    if (waiting !== undefined) return { kind: 'running', waiting }
    const answer = this.#answers.get(number)
    if (answer !== undefined) return { kind: 'answered', answer }
    const isNew = number > this.#highest || this.#open.has(number)
    return { kind: isNew ? 'new' : 'forgotten' }
  }

  begin(number: number, respond: Respond): void {
    this.#running.set(number, [respond])
    this.#open.delete(number)
    for (let n = Math.max(this.#highest + 1, number - openMax); n < number; n++) this.#leaveOpen(n)
    this.#highest = Math.max(this.#highest, number)
  }

  /** Says who is to be told. */
  answer(number: number, answer: Buffer): readonly Respond[] {
    this.#answers.set(number, answer)
    this.#bytes += answer.length
    for (const [oldest, { length }] of this.#answers) {
      const { size } = this.#answers
      if (size <= answersMin || (size <= answersMax && this.#bytes <= answerBytesMax)) break
      this.#answers.delete(oldest)
      this.#bytes -= length
    }
    return this.#end(number)
  }

  /** It is carried out anew when it comes again. Says who is to be told. */
  fail(number: number): readonly Respond[] {
    this.#leaveOpen(number)
    return this.#end(number)
  }

  /** Says who still waits for anything. */
  abandon(): readonly Respond[] {
    const waiting = [...this.#running.values()].flat()
    this.#running.clear()
    return waiting
  }

  #end(number: number): readonly Respond[] {
    const waiting = this.#running.get(number) ?? []
    this.#running.delete(number)
    return waiting
  }

  #leaveOpen(number: number): void {
    this.#open.add(number)
    for (const oldest of this.#open) {
      if (this.#open.size <= openMax) return
      this.#open.delete(oldest)
    }
  }
}
