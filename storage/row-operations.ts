import { DecodeError } from '../core/errors.ts'
import type { AsideChange } from './aside-rows.ts'
import type { Damage } from './damage.ts'
import type { DatabaseOperation } from './database.ts'
import { type ObjectKey, tombstoneRowKey, valueRowKey } from './keys.ts'
import { encodeObject, isKeptApart } from './object-codec.ts'
import { encodeRow, encodeSealed, type Row } from './row-codec.ts'
import { hashObject, type Versions } from './version.ts'
import { type Actor, compareDots } from './version-vector.ts'

/** What a mutation makes of a row. Empty versions remove it. */
export interface NewRow {
  readonly versions: Versions
  readonly mintActor: Actor | null
  /** `encodeObject(versions, 'row')`, where it is at hand. */
  readonly objectBytes?: Buffer | null
}

/** What a row is before a mutation, 'damaged' where nobody knows. */
export type StoredRow = Row | null | 'damaged'

/** Null where no version is left. */
export function makeRow(next: NewRow): Row | null {
  if (next.versions.length === 0) return null
  return {
    versions: next.versions,
    mintActor: next.mintActor,
    objectHash: hashObject(next.versions),
    objectBytes: next.objectBytes ?? encodeObject(next.versions, 'row')
  }
}

/** Writes the row and the values that are kept apart from it, and takes away those that it holds no more. */
export function rowOperations(
  key: ObjectKey,
  current: Row | null,
  row: Row | null
): DatabaseOperation[] {
  const operations: DatabaseOperation[] =
    row === null
      ? [{ type: 'del', key: key.row }]
      : [{ type: 'put', key: key.row, value: encodeRow(key.row, row) }]
  for (const version of keptApartOnlyIn(row, current)) {
    const rowKey = valueRowKey(key, version.dot)
    if (version.value === null) throw new DecodeError('a value that is kept apart came without it')
    operations.push({ type: 'put', key: rowKey, value: encodeSealed(rowKey, version.value) })
  }
  for (const version of keptApartOnlyIn(current, row)) {
    operations.push({ type: 'del', key: valueRowKey(key, version.dot) })
  }
  return operations
}

function keptApartOnlyIn(row: Row | null, other: Row | null): Versions {
  const there = other?.versions ?? []
  return (row?.versions ?? []).filter(
    (version) => isKeptApart(version) && !there.some((v) => compareDots(v.dot, version.dot) === 0)
  )
}

/** Of the values that are known to be damaged, which the row may hold no more. */
export function removalsOfDamage(key: ObjectKey, damage: Damage | undefined): DatabaseOperation[] {
  if (damage === undefined || damage === 'row') return []
  return damage.map((dot) => ({ type: 'del', key: valueRowKey(key, dot) }))
}

/** What a mutation does to the tombstone index. */
export function indexChanges(key: ObjectKey, stored: StoredRow, row: Row | null): AsideChange[] {
  const isNow = isIndexed(row)
  if (stored !== 'damaged' && isIndexed(stored) === isNow) return noChanges
  const rowKey = tombstoneRowKey(key)
  return isNow
    ? [{ type: 'put', key: rowKey, content: Buffer.alloc(0) }]
    : [{ type: 'del', key: rowKey }]
}

const noChanges: AsideChange[] = []

/** Whether time or proof may let go of a version of the row some day: it has a row in the tombstone index. */
export function isIndexed(row: Row | null): boolean {
  return row?.versions.some((version) => version.tombstone || version.expiresAtMs > 0) === true
}
