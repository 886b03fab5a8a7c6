import { Collection } from '../../repair/collection.ts'
import { type HintedDots, type ReportTable, reportOnSelf } from '../../repair/report-table.ts'
import { openWatermarks } from '../../repair/watermark-journal.ts'
import { encodeWatermark, noWatermark } from '../../repair/watermark-vector.ts'
import type { Watermarks } from '../../repair/watermarks.ts'
import { Consultation, opinionCodes } from '../../server/consultation.ts'
import { Reception } from '../../server/reception.ts'
import { type Coordinated, coordinate, type Write } from '../../storage/coordinate.ts'
import { decodeDots } from '../../storage/dots-codec.ts'
import { makeObjectKey } from '../../storage/keys.ts'
import { type Quarantined, QuarantineStore } from '../../storage/quarantine-store.ts'
import { Store } from '../../storage/store.ts'
import { type ConflictMode, isLive, type Version, type Versions } from '../../storage/version.ts'
import {
  type Dot,
  formatDot,
  type Incarnation,
  incarnationOf
} from '../../storage/version-vector.ts'
import { WatermarkStore } from '../../storage/watermark-store.ts'
import { nobodyReachable } from '../repair/open-replica.ts'
import type { SeededRandom } from './seeded-random.ts'
import { type DiskImage, SimulatedDisk } from './simulated-disk.ts'

/** The rules of watermarks; each can be dropped, and then lives go wrong. */
export interface ProvingRules {
  readonly checkWatermarkOnArrival: boolean
  readonly consultBeforeQuarantine: boolean
  readonly rowsWholeOrNotAtAll: boolean
  readonly reportBelowOwnHints: boolean
  readonly watermarkNeedsEqualPairs: boolean
  readonly watermarkNeedsSyncedRows: boolean
  readonly collectOnlyBelowWatermark: boolean
}

export const soundProving: ProvingRules = {
  checkWatermarkOnArrival: true,
  consultBeforeQuarantine: true,
  rowsWholeOrNotAtAll: true,
  reportBelowOwnHints: true,
  watermarkNeedsEqualPairs: true,
  watermarkNeedsSyncedRows: true,
  collectOnlyBelowWatermark: true
}

/** What the nodes of one life share. */
export interface ProvingLife {
  readonly rules: ProvingRules
  readonly mode: ConflictMode
  readonly durability: 'fsync' | 'os'
  readonly random: SeededRandom
  readonly replicaIds: readonly string[]
  readonly nodeOf: (id: string) => ProvingNode
  readonly nowMs: () => number
  /** What a node held, what arrived, and what was set aside of it; the node tells what it holds now. */
  readonly onReceived: (node: ProvingNode, union: Versions, quarantined: readonly Dot[]) => void
}

/** The one key, in the one partition, of a life. */
export const key = makeObjectKey(Buffer.alloc(8, 7), Buffer.from('bucket'), Buffer.from('key'))
export const partition = 0

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const quarantineBytesMax = 1 << 30

/** What runs between two starts. */
interface Session {
  readonly disk: SimulatedDisk
  readonly store: Store
  readonly watermarks: Watermarks
  readonly quarantine: QuarantineStore
  readonly reception: Reception
  readonly collection: Collection
}

/** A replica, or a fallback whose row stands for its hints: the real code over a disk that can fail. */
export class ProvingNode {
  readonly id: string
  readonly #life: ProvingLife
  #session: Session
  #oldDisk: DiskImage | null = null
  up = true

  private constructor(id: string, life: ProvingLife, session: Session) {
    this.id = id
    this.#life = life
    this.#session = session
  }

  static async open(id: string, life: ProvingLife): Promise<ProvingNode> {
    return new ProvingNode(id, life, await openSession(id, life, new Map()))
  }

  get isReplica(): boolean {
    return this.#life.replicaIds.includes(this.id)
  }

  /** A tombstone that may go here. */
  collects(version: Version): boolean {
    return this.watermarks.collectable(partition, version, this.#life.nowMs())
  }

  get watermarks(): Watermarks {
    return this.#session.watermarks
  }

  get reception(): Reception {
    return this.#session.reception
  }

  held(): Versions {
    const { store } = this.#session
    const row = store.read(key)
    return row === null ? [] : store.withValues(key, row.versions)
  }

  coordinate(write: Write): Coordinated {
    const { store } = this.#session
    const rules = {
      mode: this.#life.mode,
      siblingsMax: 1000,
      objectBytesMax: 1e9,
      nowMs: this.#life.nowMs()
    }
    return store.mutate(key, (row) => {
      const made = coordinate(key, row, write, store.minter, rules)
      return { next: made, result: made }
    }).result
  }

  async receive(arriving: Versions, sender: ProvingNode | null): Promise<boolean> {
    const { store, reception } = this.#session
    if (store.minter.hasForgotten(arriving)) store.renewIncarnation('an unknown counter')
    const before = this.held()
    const outcome = await reception.receive(key, arriving, sender?.id ?? null)
    if (outcome.kind !== 'refused') {
      const dots = outcome.kind === 'quarantined' ? outcome.dots : []
      this.#life.onReceived(this, [...before, ...arriving], dots)
    }
    if (outcome.kind === 'quarantined' && sender?.isReplica === true) {
      await sender.#session.reception.setAside(key, outcome.dots, this.id)
    }
    if (outcome.kind === 'refused' && !this.#life.rules.rowsWholeOrNotAtAll) {
      await this.#receiveParts(arriving, sender)
    }
    return outcome.kind !== 'refused'
  }

  /** The mutant: of a row that cannot be judged as a whole, what can be. */
  async #receiveParts(arriving: Versions, sender: ProvingNode | null): Promise<void> {
    if (arriving.length < 2) return
    for (const version of arriving) await this.receive([version], sender)
  }

  async settle(): Promise<void> {
    await this.#session.store.drained()
  }

  async sync(): Promise<void> {
    await this.#session.store.drained()
    this.#session.disk.sync()
  }

  /** What this node vouches for, and all reports that it has heard. */
  report(): ReportTable {
    const { store, watermarks } = this.#session
    const { incarnation, counter, ended } = store.minter
    const own = { member: this.id, present: incarnation, counter, ended }
    const hinted = () => (this.#life.rules.reportBelowOwnHints ? this.#hinted() : new Map())
    // Nobody keeps a write of somebody else's for a replica here.
    const unsettled = { hinted, settledUpTo: (_: Incarnation, upTo: number) => upTo }
    watermarks.learnReports(reportOnSelf(own, unsettled, watermarks.table))
    return watermarks.table
  }

  quarantined(): Promise<readonly Quarantined[]> {
    return this.#session.quarantine.list(1000)
  }

  collect(): Promise<void> {
    return this.#session.collection.collectAll()
  }

  letGo(): void {
    const gone = { versions: [], mintActor: null }
    this.#session.store.mutate(key, () => ({ next: gone, result: null }))
  }

  async forget(): Promise<void> {
    await this.settle()
    await this.#session.disk.tamper(key.row, () => null)
  }

  async crash(): Promise<void> {
    const { disk } = this.#session
    await this.settle()
    await this.#reopen(disk.crash(this.#life.random.below(disk.unsyncedBatches + 1)))
  }

  copyDisk(): void {
    this.#oldDisk ??= this.#session.disk.image
  }

  async returnOldDisk(): Promise<void> {
    const image = this.#oldDisk
    this.#oldDisk = null
    if (image !== null) await this.#reopen(image)
  }

  #hinted(): HintedDots {
    const least = new Map<Incarnation, number>()
    if (this.isReplica) return new Map()
    for (const { dot } of this.held()) {
      const incarnation = incarnationOf(dot.actor)
      least.set(incarnation, Math.min(dot.counter, least.get(incarnation) ?? dot.counter))
    }
    return new Map([[partition, least]])
  }

  async #reopen(image: DiskImage): Promise<void> {
    this.#session = await openSession(this.id, this.#life, image)
  }
}

async function openSession(id: string, life: ProvingLife, image: DiskImage): Promise<Session> {
  const disk = await SimulatedDisk.open(image)
  const clock = { now: life.nowMs, monotonic: life.nowMs }
  const timers = { set: () => ({}), clear() {}, atEndOfTurn: queueMicrotask }
  const store = await Store.open({
    database: disk,
    timers,
    random: life.random,
    log: silent,
    durability: life.durability,
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
  const watermarks = await openWatermarks({
    selfId: id,
    partitions: 1,
    replicasOf: () => life.replicaIds,
    store: new WatermarkStore(store, 1),
    timers,
    log: silent
  })
  const quarantine = new QuarantineStore(store, quarantineBytesMax)
  await quarantine.load()
  const reception = new Reception({
    store,
    clock,
    log: silent,
    partitions: 1,
    watermarks: life.rules.checkWatermarkOnArrival ? watermarks : unwatched(watermarks),
    hearing: nobodyReachable,
    quarantine,
    consultation: consultationOf(id, life),
    modeOf: () => life.mode
  })
  const collection = new Collection({
    store,
    watermarks: life.rules.collectOnlyBelowWatermark
      ? watermarks
      : { collectable: (_, version, nowMs) => !isLive(version, nowMs) },
    clock,
    partitions: 1,
    graceMs: 0,
    isReplica: () => life.replicaIds.includes(id)
  })
  return { disk, store, watermarks, quarantine, reception, collection }
}

/** The mutant: nothing that arrives is ever at or below the watermark. */
function unwatched(watermarks: Watermarks): Watermarks {
  return new Proxy(watermarks, {
    get(target, property) {
      if (property === 'vector') return () => noWatermark
      const member: unknown = Reflect.get(target, property, target)
      return typeof member === 'function' ? member.bind(target) : member
    }
  })
}

function consultationOf(id: string, life: ProvingLife): Consultation {
  const consultation = new Consultation({
    selfId: id,
    replicasOf: () => life.replicaIds,
    timeoutMs: 1,
    inFlightMax: 1000,
    peers: {
      isUp: (other) => life.nodeOf(other).up,
      request: (other, _channel, body, _timeoutMs, callback) => {
        if (body.kind !== 'consult') throw new Error('only consultations are sent here')
        const asked = life.nodeOf(other).reception.opinions(key, decodeDots(body.dots))
        void asked.then(({ opinions, floor }) => {
          const codes = Uint8Array.from(opinions, (opinion) => opinionCodes.indexOf(opinion))
          callback({ kind: 'consulted', opinions: codes, watermark: encodeWatermark(floor) })
        })
      }
    }
  })
  if (!life.rules.consultBeforeQuarantine) {
    consultation.ask = async (_key, dots) =>
      new Map(dots.map((dot) => [formatDot(dot), 'quarantine' as const]))
  }
  return consultation
}
