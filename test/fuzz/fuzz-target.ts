import { AnnealError, DecodeError, type ErrorCode } from '../../core/errors.ts'
import type { SeededRandom } from '../sim/seeded-random.ts'

/** What a decoder made of an input; everything else is a broken rule. */
export type Verdict = 'accepted' | 'refused'

/** A spoilt copy of `input`; `donor` is another input to take parts from. */
export type Mutator = (random: SeededRandom, input: Buffer, donor: Buffer) => Buffer

/** Something that reads what came from outside, and what must be true whatever it is given. */
export interface FuzzTarget {
  readonly name: string
  /** Inputs that are accepted, to be spoilt. */
  readonly corpus: readonly Buffer[]
  /** Inputs that need not be accepted, to take parts from. */
  readonly donors: readonly Buffer[]
  readonly mutate: Mutator
  /** Errors: anything thrown is a broken rule; a BrokenRule says which. */
  readonly run: (input: Buffer) => Verdict
}

export class BrokenRule extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'BrokenRule'
  }
}

export function mustHold(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new BrokenRule(rule)
}

/** Messages end up in logs and answers, and must not carry the whole of a hostile input there. */
const refusalCharactersMax = 1000

export type Attempt<T> = { readonly ok: true; readonly value: T } | { readonly ok: false }

/**
 * Decodes, and takes a refusal for an answer where it is the documented one: a DecodeError, or an AnnealError with the
 * given code. Whatever else is thrown goes on.
 */
export function attempt<T>(decode: () => T, refusal: 'decode error' | ErrorCode): Attempt<T> {
  try {
    return { ok: true, value: decode() }
  } catch (thrown) {
    const documented =
      refusal === 'decode error'
        ? thrown instanceof DecodeError
        : thrown instanceof AnnealError && thrown.code === refusal
    if (!(thrown instanceof Error) || !documented) throw thrown
    mustHold(thrown.message !== '', 'a refusal says why')
    mustHold(
      thrown.message.length <= refusalCharactersMax,
      `a refusal of ${thrown.message.length} characters, which is more than ${refusalCharactersMax}`
    )
    return { ok: false }
  }
}

/** Whether an input is one of those that were made by the encoder. */
export function isAmong(inputs: readonly Buffer[]): (input: Uint8Array) => boolean {
  const known = new Set(inputs.map((input) => input.toString('latin1')))
  return (input) => known.has(Buffer.from(input).toString('latin1'))
}
