import fc from 'fast-check'
import type { Identity } from '../../storage/minter.ts'
import type { Versions } from '../../storage/version.ts'
import type { VersionVector } from '../../storage/version-vector.ts'
import { causalHistories, statesOf } from './causal-history.ts'

/** Objects from the course of some history. */
export const objects: fc.Arbitrary<Versions> = fc
  .tuple(causalHistories('siblings'), fc.nat())
  .map(([history, pick]) => statesOf(history, [pick])[0] ?? [])

const incarnations = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'))
export const actors = fc
  .uint8Array({ minLength: 14, maxLength: 14 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'))
const counters = fc.integer({ min: 1, max: 2 ** 48 - 1 })

export const vectors: fc.Arbitrary<VersionVector> = fc
  .array(fc.tuple(actors, counters), { maxLength: 6 })
  .map((entries) => new Map(entries))

export const identities: fc.Arbitrary<Identity> = fc.record(
  {
    incarnation: incarnations,
    clean: fc.boolean(),
    ended: fc.array(incarnations, { maxLength: 4 })
  },
  { noNullPrototype: true }
)
