import { makeObjectKey } from '../../storage/keys.ts'
import type { Minter } from '../../storage/minter.ts'
import { type Actor, emptyVector, makeActor } from '../../storage/version-vector.ts'

/**
 * The rules of the version scheme that can be broken on purpose, each of which would lose writes. They show that the
 * oracle notices: one that finds nothing wrong in a broken scheme says nothing about a sound one.
 */
export interface Rules {
  /** `merged`: other replicas are sent all that the coordinator holds. `minted`: the new version alone. */
  readonly replicate: 'merged' | 'minted'
  /** What a node does with its incarnation when it comes back from a crash. */
  readonly afterCrash: 'renew' | 'keep' | 'rewind'
  /** When the actor of a row goes on. */
  readonly epochs: 'sound' | 'unseen' | 'foreign' | 'forgetful' | 'single'
  /** The context answered to a writer: what it has seen, or all that the row holds. */
  readonly answer: 'seen' | 'row'
  /** Whether the time of what a writer had seen comes back with its context. */
  readonly contextTime: 'kept' | 'dropped'
  /** When a replica confirms a write. */
  readonly confirm: 'durable' | 'staged'
}

export const soundRules: Rules = {
  replicate: 'merged',
  afterCrash: 'renew',
  epochs: 'sound',
  answer: 'seen',
  contextTime: 'kept',
  confirm: 'durable'
}

const otherKey = makeObjectKey(Buffer.alloc(8, 9), Buffer.from('bucket'), Buffer.from('other'))

type Mint = (
  minter: Minter,
  ...[key, actor, row, seen]: Parameters<Minter['mint']>
) => ReturnType<Minter['mint']>

/** The minter that a coordinator is given, with its rule for new epochs broken where `epochs` says so. */
export function minterUnder(rules: Rules, minter: Minter, lastActor: Actor | null): Minter {
  switch (rules.epochs) {
    case 'sound':
      return minter
    case 'unseen':
      // The writer need not have seen what the actor has on the row.
      return mintingBy(minter, (sound, key, actor, row) => sound.mint(key, actor, row, row))
    case 'foreign':
      // A row that came back from elsewhere goes on with the actor that this node used before it let the row go. What is
      // remembered of the row would prevent it.
      return mintingBy(minter, (sound, _key, actor, row, seen) => {
        const known = actor ?? lastActor
        return sound.mint(
          otherKey,
          known,
          known === null ? row : new Map([[known, 0], ...row]),
          seen
        )
      })
    case 'forgetful':
      // Nothing is remembered of the row but what it says itself.
      return mintingBy(minter, (sound, _key, actor, row, seen) =>
        sound.mint(otherKey, actor, row, seen)
      )
    case 'single':
      return mintingBy(minter, (sound, key) => {
        const { counter } = sound.mint(key, null, emptyVector, emptyVector)
        return { actor: makeActor(sound.incarnation, 1), counter }
      })
  }
}

function mintingBy(minter: Minter, mint: Mint): Minter {
  return new Proxy(minter, {
    get(target, property) {
      if (property === 'mint') {
        return (...parameters: Parameters<Minter['mint']>) => mint(target, ...parameters)
      }
      const member: unknown = Reflect.get(target, property, target)
      return typeof member === 'function' ? member.bind(target) : member
    }
  })
}
