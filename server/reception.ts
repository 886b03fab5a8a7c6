import { asBuffer } from '../core/bytes.ts'
import type { Clock, Log } from '../core/ports.ts'
import { noBytes } from '../proto/wire-format.ts'
import {
  type Arrival,
  type Conclusions,
  judgeArrival,
  noConclusions,
  type Opinions,
  opinionOn
} from '../repair/arrival.ts'
import type { FirstHearing } from '../repair/first-hearing.ts'
import { nameOfWatermark, type WatermarkVector } from '../repair/watermark-vector.ts'
import type { Watermarks } from '../repair/watermarks.ts'
import { partitionOf } from '../ring/token.ts'
import type { AsideChange } from '../storage/aside-rows.ts'
import type { ObjectKey } from '../storage/keys.ts'
import { isKeptApart } from '../storage/object-codec.ts'
import type { QuarantineStore } from '../storage/quarantine-store.ts'
import type { Row } from '../storage/row-codec.ts'
import { DamagedRowError, type Mutation, type NewRow, type Store } from '../storage/store.ts'
import { type ConflictMode, merge, sameVersions, type Versions } from '../storage/version.ts'
import { compareDots, type Dot, formatDot } from '../storage/version-vector.ts'
import type { Consultation } from './consultation.ts'

/** What became of an object that arrived. It is taken whole, but for what was set aside, or not at all. */
export type ReceiveOutcome =
  | { readonly kind: 'taken' }
  | { readonly kind: 'quarantined'; readonly dots: readonly Dot[] }
  | { readonly kind: 'refused'; readonly reason: string }

export interface ReceptionCounters {
  /** Versions that came up again and were set aside, here or at the sender: the resurrection alarm. */
  resurrections: number
  consultations: number
  /** Versions that had been lost here and were taken again. */
  regained: number
  refused: number
}

export interface ReceptionOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly partitions: number
  readonly watermarks: Watermarks
  readonly hearing: FirstHearing
  readonly quarantine: QuarantineStore
  readonly consultation: Consultation
  readonly modeOf: (key: ObjectKey) => ConflictMode
  /** Holds the rows around the key against what the hash tree says; damage makes the watermark forget the partition. */
  readonly checkRows?: (key: ObjectKey) => Promise<void>
}

const taken: ReceiveOutcome = { kind: 'taken' }
const consultationsMax = 3
const reason = 'all other replicas knew it, and none of them holds it any more'
const undecided =
  'a version in it was once known to all replicas and is not held here, and not all of them can be asked now whether it was deleted; try again later'
const full =
  'a version in it has to be set aside and the quarantine is full: restore or drop what is there (anneal quarantine)'

const unwanted = 'the exchange that brought it was ended'
const always = () => true

/** Takes in what arrives from elsewhere, unless it may be a ghost: see `judgeArrival`. */
export class Reception {
  readonly #options: ReceptionOptions
  readonly counters: ReceptionCounters = {
    resurrections: 0,
    consultations: 0,
    regained: 0,
    refused: 0
  }

  constructor(options: ReceptionOptions) {
    this.#options = options
  }

  /**
   * Resolves once what was taken or set aside is durable, and at once where the object was refused. `sender` is the node
   * that holds the object; null where it is nobody's any more. `bytes` are those that the object came in, if any.
   *
   * Errors: throws or rejects with `overloaded`, or what the store has failed with.
   */
  receive(
    key: ObjectKey,
    arriving: Versions,
    sender: string | null,
    bytes: Uint8Array | null = null
  ): Promise<ReceiveOutcome> {
    const watermark = this.#watermarkOf(key)
    const { result, durable } = this.#merge(key, { versions: arriving, bytes }, watermark)
    if (result.kind === 'take') return durable.then(isTaken)
    return this.#consult(key, arriving, sender, result.suspects, watermark)
  }

  /**
   * As `receive`, but it answers as soon as the object is judged and staged, at once where nothing is suspicious;
   * `Store.sync` says when that is durable. For rows by the thousand. What `isWanted` no longer wants when others have
   * been asked about it is refused.
   */
  take(
    key: ObjectKey,
    arriving: Versions,
    sender: string,
    bytes: Uint8Array,
    isWanted: () => boolean
  ): ReceiveOutcome | Promise<ReceiveOutcome> {
    const watermark = this.#watermarkOf(key)
    const { result, durable } = this.#merge(key, { versions: arriving, bytes }, watermark)
    if (result.kind !== 'take') {
      return this.#consult(key, arriving, sender, result.suspects, watermark, isWanted)
    }
    durable.catch(() => {})
    return taken
  }

  /**
   * Whether this node's data directory is older than what its peers have proven, or may be, since some of them have not
   * been heard yet: then it answers no reads.
   */
  isBehind(key: ObjectKey, asking: string | null = null): boolean {
    return this.#isBehind(partitionOf(key.token, this.#options.partitions), asking)
  }

  /** What reads of the key wait for: see `FirstHearing.settled`. */
  hearing(key: ObjectKey, asking: string | null = null): Promise<void> | null {
    const { hearing, partitions } = this.#options
    return hearing.settled(partitionOf(key.token, partitions), asking)
  }

  /** Whether this node may answer for all of the partition, once it knows: see `isBehind`. */
  async answersFor(partition: number, asking: string | null): Promise<boolean> {
    await this.#options.hearing.settled(partition, asking)
    return !this.#isBehind(partition, asking)
  }

  #isBehind(partition: number, asking: string | null): boolean {
    const { watermarks, hearing } = this.#options
    return watermarks.isBehind(partition) || hearing.isDue(partition, asking)
  }

  /** 8 bytes that name the watermark of the key's partition; empty where there is none. */
  watermarkName(key: ObjectKey): Uint8Array {
    const watermark = this.#watermarkOf(key)
    return watermark.size === 0 ? noBytes : Buffer.from(nameOfWatermark(watermark), 'hex')
  }

  /**
   * What this replica says of versions that another one asks about, and what it can answer for. Before it speaks against
   * the other copies it makes sure that it has not lost its own behind its back.
   */
  async opinions(key: ObjectKey, dots: readonly Dot[]): Promise<Opinions> {
    const said = this.#opinionsNow(key, dots)
    const { checkRows } = this.#options
    if (checkRows === undefined || !said.opinions.includes('lacks')) return said
    try {
      await checkRows(key)
    } catch {
      return { ...said, opinions: dots.map(() => 'unknown') }
    }
    return this.#opinionsNow(key, dots)
  }

  #opinionsNow(key: ObjectKey, dots: readonly Dot[]): Opinions {
    const { store, watermarks, partitions } = this.#options
    const partition = partitionOf(key.token, partitions)
    const floor = watermarks.floor(partition)
    const watermark = watermarks.vector(partition)
    try {
      const held = store.read(key)?.versions ?? []
      const behind = this.#isBehind(partition, null)
      return { floor, opinions: dots.map((dot) => opinionOn(dot, held, watermark, behind)) }
    } catch (thrown) {
      // Whoever cannot read its row knows neither what it has nor what it lacks.
      if (!(thrown instanceof DamagedRowError)) throw thrown
      return { floor, opinions: dots.map(() => 'unknown') }
    }
  }

  /** All other replicas knew that these versions of this node are gone: they leave the row for the quarantine. */
  setAside(key: ObjectKey, dots: readonly Dot[], foundBy: string): Promise<void> {
    const { store, quarantine } = this.#options
    const isNamed = ({ dot }: { readonly dot: Dot }) =>
      dots.some((other) => compareDots(dot, other) === 0)
    const remove = (current: Row | null): { next: NewRow | null; result: Versions } => {
      const gone = current?.versions.filter(isNamed) ?? []
      if (current === null || gone.length === 0 || !quarantine.fits(key, gone)) {
        return { next: null, result: [] }
      }
      const whole = store.withValues(key, gone)
      const versions = current.versions.filter((version) => !isNamed(version))
      return { next: { versions, mintActor: null }, result: whole }
    }
    return store.mutate(key, remove, ({ result }) => this.#quarantine(key, result, foundBy)).durable
  }

  async #consult(
    key: ObjectKey,
    arriving: Versions,
    sender: string | null,
    doubtful: Versions,
    askedAt: WatermarkVector,
    isWanted: () => boolean = always
  ): Promise<ReceiveOutcome> {
    const { consultation } = this.#options
    let suspects = doubtful
    let watermark = askedAt
    for (let round = 0; round < consultationsMax; round++) {
      this.counters.consultations++
      const dots = suspects.map(({ dot }) => dot)
      const answers = await consultation.ask(key, dots, sender, watermark)
      if (!isWanted()) return this.#refuse(unwanted)
      const isCurrent = watermark === this.#watermarkOf(key)
      watermark = this.#watermarkOf(key)
      // What somebody held when he answered may have been overwritten and proven gone since the watermark was another.
      const conclusions = isCurrent ? answers : noConclusions
      const arrived = { versions: arriving, bytes: null }
      const { result, durable } = this.#merge(key, arrived, watermark, conclusions, sender)
      if (result.kind === 'refuse') return this.#refuse(result.isFull ? full : undecided)
      if (result.kind === 'consult') suspects = result.suspects
      else {
        await durable
        return this.#concluded(result.quarantined, conclusions)
      }
    }
    return this.#refuse(undecided)
  }

  #concluded(quarantined: Versions, conclusions: Conclusions): ReceiveOutcome {
    for (const conclusion of conclusions.values()) {
      if (conclusion === 'take') this.counters.regained++
    }
    if (quarantined.length === 0) return taken
    return { kind: 'quarantined', dots: quarantined.map(({ dot }) => dot) }
  }

  #refuse(reason: string): ReceiveOutcome {
    this.counters.refused++
    return { kind: 'refused', reason }
  }

  /** One mutation: judges by what is held now, and merges what may be taken. */
  #merge(
    key: ObjectKey,
    arriving: Arriving,
    watermark: WatermarkVector,
    conclusions: Conclusions = noConclusions,
    sender: string | null = null
  ): Mutation<Judged> {
    const { store, clock, modeOf } = this.#options
    const mode = modeOf(key)
    const nowMs = watermark.size === 0 ? 0 : clock.now()
    const change = (current: Row | null): { next: NewRow | null; result: Judged } => {
      const held = current?.versions ?? []
      const judged = judgeArrival(held, arriving.versions, { mode, watermark, nowMs }, conclusions)
      if (judged.kind !== 'take') return { next: null, result: judged }
      if (!this.#fits(key, judged.quarantined)) {
        return {
          next: null,
          result: { kind: 'refuse', suspects: judged.quarantined, isFull: true }
        }
      }
      const versions = merge(held, judged.versions, mode)
      if (current !== null && sameVersions(versions, held)) return { next: null, result: judged }
      const objectBytes = bytesOf(versions, arriving)
      const mintActor = current?.mintActor ?? null
      return { next: { versions, mintActor, objectBytes }, result: judged }
    }
    if (conclusions.size === 0) return store.mutate(key, change)
    return store.mutate(key, change, ({ result }) =>
      result.kind === 'take' ? this.#quarantine(key, result.quarantined, sender ?? '') : []
    )
  }

  #fits(key: ObjectKey, versions: Versions): boolean {
    return versions.length === 0 || this.#options.quarantine.fits(key, versions)
  }

  #quarantine(key: ObjectKey, versions: Versions, from: string): AsideChange[] {
    if (versions.length === 0) return []
    const { clock, log, quarantine } = this.#options
    const sinceMs = clock.now()
    const entries = versions.map((version) => ({ key, version, reason, from, sinceMs }))
    this.counters.resurrections += versions.length
    log.warn(
      {
        bucket: String(key.bucket),
        key: String(key.key),
        from,
        dots: versions.map(({ dot }) => formatDot(dot))
      },
      'a version came up again that all other replicas had done away with; it is in quarantine'
    )
    return quarantine.add(entries)
  }

  #watermarkOf(key: ObjectKey): WatermarkVector {
    const { watermarks, partitions } = this.#options
    return watermarks.vector(partitionOf(key.token, partitions))
  }
}

interface Arriving {
  readonly versions: Versions
  /** `encodeObject(versions, 'whole')`; null where they are not at hand. */
  readonly bytes: Uint8Array | null
}

/** What arrived is all that is held from now on, nearly always: then its bytes are those of the row. */
function bytesOf(versions: Versions, { versions: arriving, bytes }: Arriving): Buffer | null {
  if (bytes === null || versions.length !== arriving.length) return null
  const isSame = versions.every((version, i) => version === arriving[i] && !isKeptApart(version))
  return isSame ? asBuffer(bytes) : null
}

type Judged = Arrival & { readonly isFull?: boolean }

const isTaken = (): ReceiveOutcome => taken
