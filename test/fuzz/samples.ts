import fc from 'fast-check'
import type { Versions } from '../../storage/version.ts'
import { type CausalHistory, causalHistories } from '../storage/causal-history.ts'

const largeBytes = 700
const largeMax = 6

/** Values of an arbitrary that a seed determines. */
export function sample<T>(values: fc.Arbitrary<T>, seed: string, count: number): T[] {
  let hash = 0
  for (const character of seed) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0
  return fc.sample(values, { numRuns: count, seed: hash })
}

/** Leaves out most large inputs and all that come twice: a change is to hit structure, not the middle of a value. */
export function mostlySmall(inputs: readonly Buffer[]): readonly Buffer[] {
  const distinct = [...new Map(inputs.map((input) => [input.toString('latin1'), input])).values()]
  const bySize = distinct.toSorted((a, b) => a.length - b.length)
  const small = bySize.filter((input) => input.length <= largeBytes)
  return bySize.slice(0, small.length + largeMax)
}

/** Objects out of histories of real writes. */
export function sampleObjects(seed: string, count: number): Versions[] {
  const histories: CausalHistory[] = sample(causalHistories('siblings'), seed, count)
  return histories.flatMap(({ states }) => [
    states.at(-1) ?? [],
    states[states.length >> 1] ?? [],
    states.reduce((widest, state) => (state.length > widest.length ? state : widest), [])
  ])
}
