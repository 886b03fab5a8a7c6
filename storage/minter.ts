import { ByteReader, ByteWriter } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'
import type { RandomSource } from '../core/ports.ts'
import type { ObjectKey } from './keys.ts'
import { MintedRows } from './minted-rows.ts'
import type { Versions } from './version.ts'
import {
  type Actor,
  type Dot,
  type Incarnation,
  incarnationLength,
  isOfIncarnation,
  makeActor,
  type VersionVector
} from './version-vector.ts'

/** What a node writes down of itself. */
export interface Identity {
  readonly incarnation: Incarnation
  /** Left by a stop in order, and taken away by the next start. */
  readonly clean: boolean
  /** Incarnations that this data directory has had before; none of them mints any more. */
  readonly ended: readonly Incarnation[]
}

const format = 1

/**
 * Mints dots. The counter is the node's own, is never read from a record and never goes back; a new incarnation is
 * drawn at every start and whenever the node may have forgotten something it had minted (damage, its own actor seen
 * above its own counter). Otherwise a counter would be used twice, or a version vector would claim what is gone. A stop
 * in order is no exception: the data directory may be an old copy of one that was stopped in order.
 */
export class Minter {
  readonly #random: RandomSource
  #incarnation: Incarnation
  #counter = 0
  #ended: readonly Incarnation[]
  readonly #minted: MintedRows

  /** `last`: what this node had written down of itself; null where there is nothing that can be read. */
  constructor(random: RandomSource, last: Identity | null, minted = new MintedRows()) {
    this.#random = random
    this.#minted = minted
    this.#ended = last === null ? [] : [...last.ended, last.incarnation]
    this.#incarnation = drawIncarnation(random)
  }

  get incarnation(): Incarnation {
    return this.#incarnation
  }

  /** What the present incarnation has minted so far. */
  get counter(): number {
    return this.#counter
  }

  /** The incarnations that this data directory remembers to have had. */
  get ended(): readonly Incarnation[] {
    return this.#ended
  }

  identity(clean: boolean): Identity {
    return { incarnation: this.#incarnation, clean, ended: this.#ended }
  }

  /** Ends the present incarnation. The caller writes the identity with the next batch. */
  renew(): void {
    this.#ended = [...this.#ended, this.#incarnation]
    this.#incarnation = drawIncarnation(this.#random)
    this.#counter = 0
  }

  /**
   * The next dot on a row. The row's actor goes on only where `seen` (what the writer had been shown) covers all that
   * this actor has on the row; otherwise the context handed back, `seen` joined with the new dot, would claim siblings
   * that the writer never saw, and its next write would delete them. An actor that the row no longer knows at all has
   * had something dropped (by `lww`, say), and does not go on either. Nor does one on a row that does not know of the
   * counter minted there last: the row has turned into what it was before, and the actor has forgotten what came after.
   */
  mint(
    key: ObjectKey,
    mintActor: Actor | null,
    rowContext: VersionVector,
    seen: VersionVector
  ): Dot {
    const counter = ++this.#counter
    if (mintActor !== null && isOfIncarnation(mintActor, this.#incarnation)) {
      const onRow = rowContext.get(mintActor)
      const isCurrent = onRow !== undefined && onRow >= this.#minted.last(key)
      if (isCurrent && (seen.get(mintActor) ?? 0) >= onRow) {
        return { actor: mintActor, counter }
      }
    }
    return { actor: makeActor(this.#incarnation, counter), counter }
  }

  /** The dot that was minted for the row is on it. One that no row was given stays unused. */
  noteOnRow(key: ObjectKey, { counter }: Dot): void {
    this.#minted.note(key, counter)
  }

  /** Whether a vector speaks of counters of this incarnation that this node does not remember to have used. */
  isAheadOfMe(vector: VersionVector): boolean {
    for (const [actor, counter] of vector) {
      if (counter > this.#counter && isOfIncarnation(actor, this.#incarnation)) return true
    }
    return false
  }

  /** As `isAheadOfMe`, for the dots and pasts of what arrives. */
  hasForgotten(versions: Versions): boolean {
    for (const { dot, past } of versions) {
      if (dot.counter > this.#counter && isOfIncarnation(dot.actor, this.#incarnation)) return true
      if (past.size > 0 && this.isAheadOfMe(past)) return true
    }
    return false
  }
}

function drawIncarnation(random: RandomSource): Incarnation {
  return Buffer.from(random.bytes(incarnationLength)).toString('latin1')
}

export function encodeIdentity(identity: Identity): Buffer {
  const writer = new ByteWriter()
  writer.uint8(format).uint8(identity.clean ? 1 : 0)
  writer.latin1(identity.incarnation).varint(identity.ended.length)
  for (const incarnation of identity.ended) writer.latin1(incarnation)
  return writer.finish()
}

export function decodeIdentity(bytes: Uint8Array): Identity {
  const reader = new ByteReader(bytes)
  const found = reader.uint8()
  if (found !== format) throw new DecodeError(`identity format ${found}, where ${format} is known`)
  const flags = reader.uint8()
  if (flags > 1) throw new DecodeError(`unknown identity flags ${flags}`)
  const incarnation = reader.latin1(incarnationLength)
  const ended: Incarnation[] = []
  for (let left = reader.varint(); left > 0; left--) ended.push(reader.latin1(incarnationLength))
  reader.finish()
  return { incarnation, clean: flags === 1, ended }
}
