import type { Failure, Reconciled } from '../../proto/frames.ts'

type Respond = (response: Reconciled | Failure) => void

export type Recalled =
  | { readonly kind: 'new' }
  | { readonly kind: 'running'; readonly waiting: Respond[] }
  | { readonly kind: 'answered'; readonly answer: Buffer }
  /** So long ago that nobody waits for it any more. */
  | { readonly kind: 'forgotten' }

const answersMax = 16
const answerBytesMax = 8 * 1024 * 1024

/**
 * What was made of the requests of one session, by their numbers: each is carried out once, however often it comes, and
 * its last few answers are kept for those that were lost.
 */
export class RequestMemory {
  readonly #running = new Map<number, Respond[]>()
  /** In the order in which they were answered. */
  readonly #answers = new Map<number, Buffer>()
  #bytes = 0
  /** Numbers of answers that are kept no more. */
  #forgottenUpTo = 0

  recall(number: number): Recalled {
    const waiting = this.#running.get(number)
    if (waiting !== undefined) return { kind: 'running', waiting }
    const answer = this.#answers.get(number)
    if (answer !== undefined) return { kind: 'answered', answer }
    return number <= this.#forgottenUpTo ? { kind: 'forgotten' } : { kind: 'new' }
  }

  begin(number: number, respond: Respond): void {
    this.#running.set(number, [respond])
  }

  /** Says who is to be told. */
  answer(number: number, answer: Buffer): readonly Respond[] {
    this.#answers.set(number, answer)
    this.#bytes += answer.length
    for (const [oldest, { length }] of this.#answers) {
      if (this.#answers.size <= answersMax && this.#bytes <= answerBytesMax) break
      this.#answers.delete(oldest)
      this.#bytes -= length
      this.#forgottenUpTo = Math.max(this.#forgottenUpTo, oldest)
    }
    return this.fail(number)
  }

  /** It is carried out anew when it comes again. Says who is to be told. */
  fail(number: number): readonly Respond[] {
    const waiting = this.#running.get(number) ?? []
    this.#running.delete(number)
    return waiting
  }

  /** Says who still waits for anything. */
  abandon(): readonly Respond[] {
    const waiting = [...this.#running.values()].flat()
    this.#running.clear()
    return waiting
  }
}
