import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import { type ObjectKey, valueRowKey } from '../../storage/keys.ts'
import { decodeRow, decodeSealed } from '../../storage/row-codec.ts'
import type { Version } from '../../storage/version.ts'
import type { WriteId } from './key-history.ts'
import type { SimDisk } from './sim-disk.ts'
import { bucket, idOf } from './workload.ts'

// A row that is written anew is another buffer: what one says never changes.
const writesOfRow = new WeakMap<Buffer, readonly WriteId[]>()
const nothing: readonly WriteId[] = []

export function keyNamed(name: string): ObjectKey {
  return keyOf(Buffer.from(bucket), Buffer.from(name))
}

/**
 * The writes of a key that would be left on this disk if the power failed now, tombstones aside. What is damaged counts
 * as missing, as it does to the node. The same row gives the same array.
 */
export function writesOnDisk(disk: SimDisk, key: ObjectKey): readonly WriteId[] {
  const bytes = disk.peek(key.id)
  if (bytes === undefined) return nothing
  const known = writesOfRow.get(bytes)
  if (known !== undefined) return known
  const writes = versionsOnDisk(disk, key.id)
    .filter(({ tombstone }) => !tombstone)
    .flatMap((version) => {
      const value = version.value ?? apartOnDisk(disk, key, version)
      return value === null ? [] : [idOf(value)]
    })
  writesOfRow.set(bytes, writes)
  return writes
}

/** The versions of a row; none where the row is damaged, or no object's. */
export function versionsOnDisk(disk: SimDisk, rowId: string): readonly Version[] {
  const bytes = disk.peek(rowId)
  if (bytes === undefined) return []
  try {
    return decodeRow(Buffer.from(rowId, 'latin1'), bytes).versions
  } catch {
    return []
  }
}

function apartOnDisk(disk: SimDisk, key: ObjectKey, { dot }: Version): Uint8Array | null {
  const row = valueRowKey(key, dot)
  const bytes = disk.peek(row.toString('latin1'))
  if (bytes === undefined) return null
  try {
    return decodeSealed(row, bytes)
  } catch {
    return null
  }
}
