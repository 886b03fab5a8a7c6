import { assert } from '../../core/assert.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { Dot } from '../../storage/version-vector.ts'
import type {
  LeafListing,
  PartitionSnapshot,
  PreparedProof,
  ProofNote,
  RowOutcome,
  RowSlice,
  ShippedRow,
  SliceRequest,
  WantedRow
} from './range-side.ts'

export interface LeavesOf {
  readonly partition: number
  readonly leaves: readonly number[]
}

export interface RowSetAside {
  readonly key: ObjectKey
  readonly dots: readonly Dot[]
}

/** What a script may want done: `RangeSide` says what most of it means. */
export type Call =
  /** Send this to the peer and bring its answer; sent again under the same number where none comes. */
  | {
      readonly kind: 'ask'
      readonly number: number
      readonly payload: Buffer
      /** The peer may be at it for long before it answers. */
      readonly isLong: boolean
    }
  | { readonly kind: 'now' }
  /** Lets everybody else have a turn where this one has lasted long. */
  | { readonly kind: 'turn' }
  | { readonly kind: 'wait'; readonly delayMs: number }
  /** Waits until bytes may be moved, and takes so many. */
  | { readonly kind: 'budget'; readonly bytes: number }
  /** So many bytes were moved: whoever asks for bytes next waits for them. Done at once. */
  | { readonly kind: 'charge'; readonly bytes: number }
  | { readonly kind: 'snapshots'; readonly partitions: readonly number[] }
  | { readonly kind: 'verify'; readonly partitions: readonly number[] }
  | { readonly kind: 'list'; readonly wanted: readonly LeavesOf[] }
  | { readonly kind: 'read'; readonly wanted: readonly WantedRow[] }
  | { readonly kind: 'slice'; readonly request: SliceRequest }
  | { readonly kind: 'receive'; readonly rows: readonly ShippedRow[] }
  | { readonly kind: 'setAside'; readonly rows: readonly RowSetAside[] }
  | { readonly kind: 'sync' }
  | { readonly kind: 'prepareProof'; readonly note: PreparedProof }
  | { readonly kind: 'noteProof'; readonly note: ProofNote }

export type CallKind = Call['kind']

/** What came of a call, by its kind. */
export interface Results {
  readonly ask: Buffer
  /** Wall-clock milliseconds. */
  readonly now: number
  readonly turn: null
  readonly wait: null
  /** False: the peer waits for an answer and should have one, though nothing may be moved yet. */
  readonly budget: boolean
  readonly charge: null
  readonly snapshots: readonly (PartitionSnapshot | null)[]
  readonly verify: null
  readonly list: readonly LeafListing[]
  readonly read: readonly (ShippedRow | null)[]
  readonly slice: RowSlice
  readonly receive: readonly RowOutcome[]
  readonly setAside: null
  readonly sync: null
  readonly prepareProof: null
  readonly noteProof: null
}

export type Result = {
  [Kind in CallKind]: { readonly kind: Kind; readonly value: Results[Kind] }
}[CallKind]

/** Runs scripts side by side; the one that yields it goes on once all of them have ended. */
export interface All {
  readonly kind: 'all'
  readonly scripts: readonly Script<void>[]
}

/**
 * A decision of several steps as a generator: it yields what is to be done and is resumed with what came of it. It
 * touches nothing itself, so that a test may answer in any order, late, or never.
 */
export type Script<T> = Generator<Call | All, T, Result | null>

/** One call, from inside a script. Errors: throws what the call failed with. */
export function* perform<Kind extends CallKind>(
  call: Extract<Call, { kind: Kind }>
): Script<Results[Kind]> {
  const result = yield call
  assert(result !== null && result.kind === call.kind, `${call.kind} is answered in kind`)
  // The kinds are equal, which the type checker cannot conclude for a kind that it does not know.
  return result.value as Results[Kind]
}

export function* all(scripts: readonly Script<void>[]): Script<void> {
  yield { kind: 'all', scripts }
}
