import { equalBytes } from '../../core/bytes.ts'
import { AnnealError } from '../../core/errors.ts'
import type { Log } from '../../core/ports.ts'
import { type Coordinated, coordinate, type Write } from '../../storage/coordinate.ts'
import { makeObjectKey } from '../../storage/keys.ts'
import { decodeForeignObject, encodeObject } from '../../storage/object-codec.ts'
import { DamagedRowError, Store } from '../../storage/store.ts'
import {
  type ConflictMode,
  isLive,
  merge,
  sameVersions,
  type Versions
} from '../../storage/version.ts'
import { type Actor, emptyVector, isOfIncarnation } from '../../storage/version-vector.ts'
import { minterUnder, type Rules } from './mutants.ts'
import type { SeededRandom } from './seeded-random.ts'
import { type DiskImage, SimulatedDisk } from './simulated-disk.ts'
import type { TrueHistory, WriteId } from './true-history.ts'

export interface NodeOptions {
  readonly mode: ConflictMode
  readonly durability: 'fsync' | 'os'
  readonly rules: Rules
  readonly random: SeededRandom
  readonly history: TrueHistory
}

/** A write as its coordinator leaves it. */
export interface Minted extends Coordinated {
  readonly id: WriteId
  /** What the writer has been shown from now on, its own write included. */
  readonly seen: ReadonlySet<WriteId>
  /** Resolves once this node may vouch for the write. */
  readonly confirmed: Promise<void>
}

/** The one key of a life. */
const key = makeObjectKey(Buffer.alloc(8, 7), Buffer.from('bucket'), Buffer.from('key'))
const damagedValuesMax = 100
const valueRows = Buffer.from('v')
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} }

interface Session {
  readonly disk: SimulatedDisk
  readonly store: Store
  /** What the store wants done at the end of the turn. */
  readonly turn: (() => void)[]
}

/** One node of a life: the real store over a disk that can fail, and the few things that a server does with it. */
export class ReplicaNode {
  readonly #options: NodeOptions
  #session: Session
  #oldDisk: DiskImage | null = null
  #cleanDisk: DiskImage | null = null
  #oldRow: Buffer | null = null
  #lastActor: Actor | null = null
  up = true

  private constructor(options: NodeOptions, session: Session) {
    this.#options = options
    this.#session = session
  }

  static async open(options: NodeOptions): Promise<ReplicaNode> {
    return new ReplicaNode(options, await openSession(options, new Map()))
  }

  /** Mints a version on the row; `seen` is what the writer has been shown. */
  coordinate(write: Write, seen: ReadonlySet<WriteId>, nowMs: number): Minted {
    const { mode, rules, history } = this.#options
    const { minter } = this.#session.store
    const last = this.#lastActor
    const { result, durable } = this.#session.store.mutate(key, (row) => {
      const held = row?.versions ?? []
      const lent = minterUnder(rules, minter, isOf(last, minter.incarnation) ? last : null)
      const wide = { siblingsMax: 1000, objectBytesMax: 1e9 }
      const made = coordinate(key, row, write, lent, { mode, ...wide, nowMs })
      const covered = write.coversAllHeld ? held : held.filter((other) => !isLive(other, nowMs))
      const shown = new Set([...seen, ...history.seenIn(covered)])
      const id = history.minted(made.version, new Set(shown))
      history.merged(held, [made.version], made.versions)
      return { next: made, result: { ...made, id, seen: shown.add(id) } }
    })
    this.#lastActor = result.mintActor
    return { ...result, confirmed: this.#confirmed(durable) }
  }

  /** Takes what another node sent; resolves once this node may vouch for all of it. */
  receive(object: Uint8Array): Promise<void> {
    const { mode, history } = this.#options
    const { store } = this.#session
    const arrived = decodeForeignObject(object)
    if (store.minter.hasForgotten(arrived)) store.renewIncarnation('an unknown counter')
    const { durable } = store.mutate(key, (row) => {
      const held = row?.versions ?? []
      const versions = merge(held, arrived, mode)
      history.merged(held, arrived, versions)
      const next = { versions, mintActor: row?.mintActor ?? null }
      return { next: sameVersions(held, versions) ? null : next, result: null }
    })
    return this.#confirmed(durable)
  }

  /** What the node holds, all values included; damage is found here, and set aside. */
  held(): Versions {
    const { store } = this.#session
    for (let damaged = 0; damaged < damagedValuesMax; damaged++) {
      try {
        const row = store.read(key)
        return row === null ? [] : store.withValues(key, row.versions)
      } catch (thrown) {
        if (!(thrown instanceof DamagedRowError)) throw thrown
        store.mutate(key, (row) => ({
          next: row ?? { versions: [], mintActor: null },
          result: null
        }))
      }
    }
    throw new Error('what was found damaged does not count as missing')
  }

  /** The bytes that go to other nodes; null where there is nothing to tell. */
  message(): Buffer | null {
    const held = this.held()
    return held.length === 0 ? null : encodeObject(held, 'whole')
  }

  /** Lets the row go, unless it has changed since it was told to others as `message`. */
  letGo(message: Buffer): void {
    const now = this.message()
    if (now === null || !equalBytes(now, message)) return
    const gone = { versions: [], mintActor: null }
    this.#session.store.mutate(key, () => ({ next: gone, result: null }))
  }

  /** Ends the turn, and everything staged is written. */
  async settle(): Promise<void> {
    const { turn, store } = this.#session
    while (turn.length > 0) {
      for (const callback of turn.splice(0)) callback()
      await store.drained()
    }
  }

  /** The operating system writes out what it holds. */
  syncDisk(): void {
    this.#session.disk.sync()
  }

  async crash(): Promise<void> {
    const { rules, random } = this.#options
    const { disk, turn, store } = this.#session
    disk.losePower()
    if (random.below(2) === 0) for (const callback of turn) callback()
    const image = disk.crash(random.below(disk.unsyncedBatches + 1))
    if (rules.afterCrash === 'renew') return this.#reopen(image)
    const { incarnation } = store.minter
    const { counter } = store.minter.mint(key, null, emptyVector, emptyVector)
    await this.#reopen(image, incarnation)
    const forgotten = rules.afterCrash === 'rewind' ? 1 + random.below(3) : 0
    const { minter } = this.#session.store
    for (let used = 0; used < counter - forgotten; used++)
      minter.mint(key, null, emptyVector, emptyVector)
  }

  async restart(): Promise<void> {
    await this.settle()
    const { store, disk } = this.#session
    await store.close()
    this.#cleanDisk ??= disk.image
    await this.#reopen(disk.image)
  }

  /** Keeps a copy of the disk as it is now, while the node runs. */
  copyDisk(): void {
    this.#oldDisk ??= this.#session.disk.image
  }

  /** The copy that was kept takes the place of the disk. */
  async returnOldDisk(): Promise<void> {
    const image = this.#oldDisk
    this.#oldDisk = null
    if (image !== null) await this.#reopen(image)
  }

  /** As `returnOldDisk`, with a copy that was taken after a clean stop. */
  async returnCleanDisk(): Promise<void> {
    const image = this.#cleanDisk
    this.#cleanDisk = null
    if (image !== null) await this.#reopen(image)
  }

  /** The row vanishes from the disk, and nobody notices. */
  async forget(): Promise<void> {
    await this.settle()
    await this.#session.disk.tamper(key.row, () => null)
  }

  /** The row turns into what it was at the last call but one, and nobody notices; the first call only looks. */
  async turnOld(): Promise<void> {
    await this.settle()
    const { disk } = this.#session
    const old = this.#oldRow
    this.#oldRow = disk.getSync(key.row) ?? null
    if (old !== null) await disk.tamper(key.row, () => old)
  }

  /** A bit flips in the row, or in the values that are kept apart from it. */
  async damage(): Promise<void> {
    await this.settle()
    const { random } = this.#options
    const flipped = (value: Buffer): Buffer => {
      const at = random.below(value.length)
      value.writeUInt8(value.readUInt8(at) ^ (1 << random.below(8)), at)
      return value
    }
    await this.#session.disk.tamper(random.below(2) === 0 ? key.row : valueRows, flipped)
  }

  #confirmed(durable: Promise<void>): Promise<void> {
    return this.#options.rules.confirm === 'staged' ? Promise.resolve() : durable
  }

  /** A node that keeps its incarnation against the rules draws the same bytes again. */
  async #reopen(image: DiskImage, kept?: string): Promise<void> {
    const bytes = () => Buffer.from(kept ?? '', 'latin1')
    const random = kept === undefined ? this.#options.random : { ...this.#options.random, bytes }
    this.#session = await openSession({ ...this.#options, random }, image)
  }
}

async function openSession(options: NodeOptions, image: DiskImage): Promise<Session> {
  const disk = await SimulatedDisk.open(image)
  const turn: (() => void)[] = []
  const store = await Store.open({
    database: disk,
    timers: {
      set: () => {
        throw new AnnealError('internal', 'the store sets no timers')
      },
      clear() {},
      atEndOfTurn: (callback) => turn.push(callback)
    },
    random: options.random,
    log: silent,
    durability: options.durability,
    pendingBytesMax: Number.MAX_SAFE_INTEGER,
    events: {
      onBatch() {},
      onDamage() {},
      onIncarnation() {},
      onFailure(error) {
        throw error
      }
    }
  })
  return { disk, store, turn }
}

function isOf(actor: Actor | null, incarnation: string): boolean {
  return actor !== null && isOfIncarnation(actor, incarnation)
}
