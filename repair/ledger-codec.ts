import { ByteReader, ByteWriter } from '../core/bytes.ts'
import { DecodeError } from '../core/errors.ts'

/** What is kept on disk of one partition and one peer. */
export interface LedgerRecord {
  readonly partition: number
  /** Wall clock; null: never found equal. */
  readonly lastEqualMs: number | null
  /** Why it is to be compared before its time; null where it is not. */
  readonly early: EarlyReason | null
}

/** Why a partition is compared before its time. Stored by position: only ever append. */
export const earlyReasons = ['hints were lost', 'damage was found', 'marked'] as const
export type EarlyReason = (typeof earlyReasons)[number]

const format = 1

/** format | count | (partition, last equal + 1 or 0, early reason + 1 or 0)... */
export function encodeLedger(records: readonly LedgerRecord[]): Uint8Array {
  const writer = new ByteWriter().uint8(format).varint(records.length)
  for (const { partition, lastEqualMs, early } of records) {
    writer.varint(partition)
    writer.varint(lastEqualMs === null ? 0 : Math.max(0, Math.floor(lastEqualMs)) + 1)
    writer.uint8(early === null ? 0 : earlyReasons.indexOf(early) + 1)
  }
  return writer.finish()
}

/** Errors: DecodeError. */
export function decodeLedger(bytes: Uint8Array): readonly LedgerRecord[] {
  const reader = new ByteReader(bytes)
  const found = reader.uint8()
  if (found !== format) throw new DecodeError(`ledger format ${found}, where ${format} is known`)
  const count = reader.varint()
  const records: LedgerRecord[] = []
  for (let i = 0; i < count; i++) {
    const partition = reader.varint()
    const equal = reader.varint()
    const reason = reader.uint8()
    const early = reason === 0 ? null : earlyReasons[reason - 1]
    if (early === undefined) throw new DecodeError(`unknown reason ${reason} in the ledger`)
    records.push({ partition, lastEqualMs: equal === 0 ? null : equal - 1, early })
  }
  reader.finish()
  return records
}
