import fc from 'fast-check'
import { coordinate } from '../../storage/coordinate.ts'
import { makeObjectKey } from '../../storage/keys.ts'
import { MintedRows } from '../../storage/minted-rows.ts'
import { Minter } from '../../storage/minter.ts'
import {
  type ConflictMode,
  contextOf,
  isLive,
  latestTimeOf,
  merge,
  type Version,
  type Versions
} from '../../storage/version.ts'
import { type Actor, formatDot } from '../../storage/version-vector.ts'
import { seededRandom } from '../oracle/seeded-random.ts'

/** What replicas of one key held in the course of some history, and what the writers of it had really seen. */
export interface CausalHistory {
  readonly mode: ConflictMode
  /** Everything that any replica held at any time; the first is nothing. */
  readonly states: readonly Versions[]
  /** For each dot, the dots that its writer had been shown, or that were dead at its coordinator, directly or not. */
  readonly seen: ReadonlyMap<string, ReadonlySet<string>>
}

/** One event: numbers that are taken modulo what there is to choose from. */
interface Event {
  readonly kind: 'put' | 'large put' | 'delete' | 'sync' | 'forget'
  readonly at: number
  readonly from: number
  /** The state whose context the writer has; 0: a blind write. */
  readonly shown: number
}

const key = makeObjectKey(Buffer.alloc(8, 7), Buffer.from('bucket'), Buffer.from('key'))
const replicas = [0, 1, 2]
const kinds = ['put', 'put', 'put', 'large put', 'delete', 'sync', 'sync', 'forget'] as const

const events: fc.Arbitrary<Event> = fc.record({
  kind: fc.constantFrom(...kinds),
  at: fc.nat({ max: 2 }),
  from: fc.nat({ max: 2 }),
  shown: fc.nat({ max: 30 })
})

/** Real versions, minted by real coordinators, in whatever order writes, deletes and syncs came. */
export function causalHistories(mode: ConflictMode): fc.Arbitrary<CausalHistory> {
  return fc
    .tuple(fc.nat(), fc.array(events, { minLength: 1, maxLength: 25, size: 'max' }))
    .map(([seed, happened]) => unfold(mode, seed, happened))
}

interface Replica {
  readonly minter: Minter
  versions: Versions
  mintActor: Actor | null
}

function unfold(mode: ConflictMode, seed: number, happened: readonly Event[]): CausalHistory {
  const random = seededRandom(seed)
  const nodes = replicas.map((): Replica => {
    return { minter: new Minter(random, null, new MintedRows(1)), versions: [], mintActor: null }
  })
  const states: Versions[] = [[]]
  const seen = new Map<string, Set<string>>()
  for (const [index, event] of happened.entries()) {
    const node = nodes[event.at]
    const other = nodes[event.from]
    if (node === undefined || other === undefined) continue
    if (event.kind === 'forget') Object.assign(node, { versions: [], mintActor: null })
    else if (event.kind === 'sync') node.versions = merge(node.versions, other.versions, mode)
    else write(node, states[event.shown % states.length] ?? [], event.kind, index, mode, seen)
    states.push(node.versions)
  }
  return { mode, states, seen }
}

function write(
  node: Replica,
  shown: Versions,
  kind: 'put' | 'large put' | 'delete',
  index: number,
  mode: ConflictMode,
  seen: Map<string, Set<string>>
): void {
  const nowMs = 1_000_000 + (index % 4) * 400
  const covered = [...shown, ...node.versions.filter((version) => !isLive(version, nowMs))]
  const isPlain = index % 2 === 0 || kind === 'delete'
  const made = coordinate(
    key,
    node,
    {
      value: kind === 'delete' ? null : Buffer.alloc(kind === 'put' ? index : 4097 + index, index),
      contentType: isPlain ? '' : 'text/plain; charset=utf-8',
      meta: isPlain
        ? []
        : [
            ['colour', 'grün'],
            ['size', `${index}`]
          ],
      ttlMs: index % 3 === 0 && kind !== 'delete' ? 1000 : 0,
      context: contextOf(shown),
      contextTimeMs: latestTimeOf(shown),
      coversAllHeld: false
    },
    node.minter,
    { mode, siblingsMax: 1000, objectBytesMax: 1e9, nowMs }
  )
  seen.set(formatDot(made.version.dot), allSeen(covered, seen))
  node.versions = made.versions
  node.mintActor = made.mintActor
}

function allSeen(shown: Versions, seen: ReadonlyMap<string, ReadonlySet<string>>): Set<string> {
  return new Set(shown.flatMap(({ dot }) => [formatDot(dot), ...(seen.get(formatDot(dot)) ?? [])]))
}

/** Some state of a history, as often as a law needs one. */
export function statesOf(history: CausalHistory, picks: readonly number[]): readonly Versions[] {
  return picks.map((pick) => history.states[pick % history.states.length] ?? [])
}

export function dotsOf(versions: Versions): readonly string[] {
  return versions.map((version: Version) => formatDot(version.dot))
}
