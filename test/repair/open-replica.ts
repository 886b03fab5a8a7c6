import type { Opinion } from '../../repair/arrival.ts'
import { FirstHearing } from '../../repair/first-hearing.ts'
import { openWatermarks } from '../../repair/watermark-journal.ts'
import { encodeWatermark, type WatermarkVector } from '../../repair/watermark-vector.ts'
import type { Watermarks } from '../../repair/watermarks.ts'
import { Consultation, opinionCodes } from '../../server/consultation.ts'
import { Reception } from '../../server/reception.ts'
import type { Database } from '../../storage/database.ts'
import { QuarantineStore } from '../../storage/quarantine-store.ts'
import type { Store } from '../../storage/store.ts'
import { WatermarkStore } from '../../storage/watermark-store.ts'
import { openStore } from '../storage/open-store.ts'

/** What replicas would say of any one version; a replica that is not named is down. */
type Answers = Map<string, { readonly opinion: Opinion; readonly floor: WatermarkVector }>

/** One replica, n1, of one partition; what n2 and n3 would answer is given. */
export interface OpenedReplica {
  readonly store: Store
  readonly watermarks: Watermarks
  readonly quarantine: QuarantineStore
  readonly reception: Reception
  readonly clock: { nowMs: number }
  readonly answers: Answers
  readonly asked: string[]
  readonly settle: () => Promise<void>
}

/** Of a replica that has not come back from anywhere. */
export const nobodyReachable = new FirstHearing({
  selfId: 'n1',
  replicasOf: () => [],
  isReachable: () => false,
  timers: { set: () => ({}), clear() {}, atEndOfTurn: queueMicrotask }
})

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** Asks on behalf of n1; whom it has asked is added to `asked`. */
export function consult(
  replicas: readonly string[],
  answers: Answers,
  asked: string[]
): Consultation {
  return new Consultation({
    selfId: 'n1',
    replicasOf: () => replicas,
    timeoutMs: 1,
    inFlightMax: 10,
    peers: {
      isUp: (id) => answers.has(id),
      request: (id, _channel, _body, _timeoutMs, callback) => {
        asked.push(id)
        const { opinion, floor } = answers.get(id) ?? { opinion: 'unknown', floor: new Map() }
        const opinions = Uint8Array.of(opinionCodes.indexOf(opinion))
        callback({ kind: 'consulted', opinions, watermark: encodeWatermark(floor) })
      }
    }
  })
}

export async function openReplica(
  database: Database,
  quarantineBytesMax = 1 << 20,
  checkRows: (watermarks: Watermarks) => Promise<void> = async () => {}
): Promise<OpenedReplica> {
  const opened = await openStore(database, {
    timers: { set: () => ({}), clear() {}, atEndOfTurn: queueMicrotask }
  })
  const { store } = opened
  const clock = { nowMs: 1_000_000 }
  const replicas = ['n1', 'n2', 'n3']
  const watermarks = await openWatermarks({
    selfId: 'n1',
    partitions: 1,
    replicasOf: () => replicas,
    store: new WatermarkStore(store, 1),
    timers: { set: () => ({}), clear() {}, atEndOfTurn: queueMicrotask },
    log: silent
  })
  const quarantine = new QuarantineStore(store, quarantineBytesMax)
  await quarantine.load()
  const answers: Answers = new Map()
  const asked: string[] = []
  const consultation = consult(replicas, answers, asked)
  const reception = new Reception({
    store,
    clock: { now: () => clock.nowMs, monotonic: () => clock.nowMs },
    log: silent,
    partitions: 1,
    watermarks,
    hearing: nobodyReachable,
    quarantine,
    consultation,
    modeOf: () => 'siblings',
    checkRows: () => checkRows(watermarks)
  })
  const settle = () => store.drained()
  return { store, watermarks, quarantine, reception, clock, answers, asked, settle }
}
