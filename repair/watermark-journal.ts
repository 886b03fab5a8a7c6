import { DecodeError } from '../core/errors.ts'
import type { Log, Timers } from '../core/ports.ts'
import type { ListChange, StoredContents, WatermarkStore } from '../storage/watermark-store.ts'
import { makePair, type PairProof } from './pair-proofs.ts'
import { emptyTable, type ReportTable } from './report-table.ts'
import { packTable, unpackTable } from './report-table-codec.ts'
import { decodeWatermark, encodeWatermark, type WatermarkVector } from './watermark-vector.ts'
import {
  type RestoredWatermarks,
  type WatermarkChange,
  Watermarks,
  type WatermarksOptions
} from './watermarks.ts'

export interface WatermarkJournalOptions extends Omit<WatermarksOptions, 'onChange'> {
  readonly store: WatermarkStore
  readonly timers: Timers
  readonly log: Log
  /** The watermarks of these partitions have changed. */
  readonly onWatermarks?: (partitions: readonly number[]) => void
}

const watermarkList = 'watermark'
const proofList = 'proof'
const preparedList = 'prepared'
const doubtList = 'doubt'

/**
 * Opens what this node knows of watermarks, and from then on writes down what changes: at the end of the turn, once for
 * everything. A change that a crash swallows leaves the node knowing less than it did, as an old copy of its disk would.
 */
export async function openWatermarks(options: WatermarkJournalOptions): Promise<Watermarks> {
  const { store, timers, log, onWatermarks } = options
  let waiting: WatermarkChange[] = []
  const write = () => {
    const changes = waiting
    waiting = []
    if (changes.some(({ kind }) => kind === 'table')) store.saveTable(packTable(watermarks.table))
    const lists = changes.flatMap((change) => listChanges(watermarks, change))
    if (lists.length > 0) store.saveLists(lists)
  }
  const watermarks = new Watermarks({
    ...options,
    onChange: (change) => {
      if (waiting.length === 0) timers.atEndOfTurn(write)
      waiting.push(change)
      if (change.kind === 'watermarks') onWatermarks?.(change.partitions)
    }
  })
  watermarks.restore(restored(await store.load(), log))
  return watermarks
}

function listChanges(watermarks: Watermarks, change: WatermarkChange): ListChange[] {
  if (change.kind === 'table') return []
  if (change.kind === 'watermarks' || change.kind === 'doubts') {
    const isDoubt = change.kind === 'doubts'
    const encoded = remembering(encodeWatermark)
    return change.partitions.map((partition) => {
      const vector = isDoubt ? watermarks.doubt(partition) : watermarks.vector(partition)
      const list = isDoubt ? doubtList : watermarkList
      return { list, partition, content: vector === null ? null : encoded(vector) }
    })
  }
  const { pair, kind } = change
  const packed = remembering(packTable)
  return change.partitions.map((partition) => {
    const isProof = kind === 'proofs'
    const table = isProof
      ? watermarks.tableOf(pair, partition)
      : watermarks.preparedTableOf(pair, partition)
    const list = `${isProof ? proofList : preparedList} ${pair.a} ${pair.b}`
    return { list, partition, content: packed(table) }
  })
}

/** Partitions mostly share one content, which is then encoded once. */
function remembering<T extends object>(encode: (value: T) => Buffer): (value: T) => Buffer {
  const known = new Map<T, Buffer>()
  return (value) => {
    const bytes = known.get(value) ?? encode(value)
    known.set(value, bytes)
    return bytes
  }
}

function restored(stored: StoredContents, log: Log): RestoredWatermarks {
  const tables = decoder<ReportTable>(stored, unpackTable, log)
  const vectors = decoder<WatermarkVector>(stored, decodeWatermark, log)
  const proofs: PairProof[] = []
  const prepared: PairProof[] = []
  const byKind = new Map([
    [proofList, proofs],
    [preparedList, prepared]
  ])
  for (const [list, names] of stored.lists) {
    const [kind = '', a, b] = list.split(' ')
    const found = byKind.get(kind)
    if (found === undefined || a === undefined || b === undefined) continue
    for (const [partition, name] of names.entries()) {
      const table = name === null ? null : tables(name)
      if (table !== null) found.push({ pair: makePair(a, b), table, partitions: [partition] })
    }
  }
  const vectorsOf = (list: string) =>
    [...(stored.lists.get(list) ?? []).entries()].flatMap(([partition, name]) => {
      const vector = name === null ? null : vectors(name)
      return vector === null ? [] : [[partition, vector] as const]
    })
  return {
    table: decodeOwnTable(stored.table, log),
    proofs,
    prepared,
    vectors: vectorsOf(watermarkList),
    doubts: vectorsOf(doubtList)
  }
}

function decodeOwnTable(bytes: Buffer | null, log: Log): ReportTable {
  if (bytes === null) return emptyTable
  return decodeOrNull(bytes, unpackTable, log) ?? emptyTable
}

function decoder<T>(
  { contents }: StoredContents,
  decode: (bytes: Uint8Array) => T,
  log: Log
): (name: string) => T | null {
  const known = new Map<string, T | null>()
  return (name) => {
    let value = known.get(name)
    if (value !== undefined) return value
    const bytes = contents.get(name)
    value = bytes === undefined ? null : decodeOrNull(bytes, decode, log)
    known.set(name, value)
    return value
  }
}

function decodeOrNull<T>(bytes: Buffer, decode: (bytes: Uint8Array) => T, log: Log): T | null {
  try {
    return decode(bytes)
  } catch (thrown) {
    if (!(thrown instanceof DecodeError)) throw thrown
    log.error({ reason: thrown.message }, 'a proof of this node cannot be read; it counts as none')
    return null
  }
}
