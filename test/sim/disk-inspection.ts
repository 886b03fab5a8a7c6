import { keyOf } from '../../server/coordinator/coordinator-context.ts'
import { decodeHint, hintRowKey } from '../../storage/hint-row.ts'
import { type ObjectKey, parseObjectKey, valueRowKey } from '../../storage/keys.ts'
import { isKeptApart } from '../../storage/object-codec.ts'
import { decodeRow, decodeSealed } from '../../storage/row-codec.ts'
import type { Version } from '../../storage/version.ts'
import type { WriteId } from './key-history.ts'
import type { SimDisk } from './sim-disk.ts'
import { bucket, idOf } from './written-values.ts'

// A row that is written anew is another buffer: what one says never changes.
const writesOfRow = new WeakMap<Buffer, readonly WriteId[]>()
const versionsOfRow = new WeakMap<Buffer, readonly Version[]>()
const nothing: readonly WriteId[] = []
// The names of all lives are the same few.
const keysByName = new Map<string, ObjectKey>()

export function keyNamed(name: string): ObjectKey {
  const known = keysByName.get(name)
  if (known !== undefined) return known
  const key = keyOf(Buffer.from(bucket), Buffer.from(name))
  keysByName.set(name, key)
  return key
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

/**
 * What this disk keeps for another node of a key, as whole objects, tombstones included; none where it keeps nothing, or
 * what it keeps is damaged.
 */
export function hintOnDisk(disk: SimDisk, target: string, key: ObjectKey): readonly Version[] {
  const row = hintRowKey(target, key)
  const bytes = disk.peek(row.toString('latin1'))
  return bytes === undefined ? [] : versionsOfHint(row, bytes)
}

/** As `hintOnDisk`, of a row that was taken from there. */
export function versionsOfHint(row: Buffer, bytes: Buffer): readonly Version[] {
  const known = versionsOfRow.get(bytes)
  if (known !== undefined) return known
  const sealed = opened(row, bytes)
  const versions = sealed === null ? [] : decodeHint(sealed).versions
  versionsOfRow.set(bytes, versions)
  return versions
}

/** The versions of a row; none where the row is damaged, or no object's. */
export function versionsOnDisk(disk: SimDisk, rowId: string): readonly Version[] {
  const bytes = disk.peek(rowId)
  if (bytes === undefined) return []
  const known = versionsOfRow.get(bytes)
  if (known !== undefined) return known
  const versions = versionsOf(Buffer.from(rowId, 'latin1'), bytes)
  versionsOfRow.set(bytes, versions)
  return versions
}

/** As `versionsOnDisk`, of a row that was taken from there. */
export function versionsOf(rowKey: Buffer, bytes: Buffer): readonly Version[] {
  try {
    return decodeRow(rowKey, bytes).versions
  } catch {
    return []
  }
}

/** The versions that the node could read now, with their values. */
export function versionsInUse(disk: SimDisk, rowId: string): readonly Version[] {
  const bytes = disk.look(rowId)
  if (bytes === undefined) return []
  const rowKey = Buffer.from(rowId, 'latin1')
  const key = parseObjectKey(rowKey)
  return versionsOf(rowKey, bytes).filter((version) => {
    if (!isKeptApart(version)) return true
    const row = valueRowKey(key, version.dot)
    return opened(row, disk.look(row.toString('latin1'))) !== null
  })
}

function apartOnDisk(disk: SimDisk, key: ObjectKey, { dot }: Version): Uint8Array | null {
  const row = valueRowKey(key, dot)
  return opened(row, disk.peek(row.toString('latin1')))
}

function opened(row: Buffer, bytes: Buffer | undefined): Uint8Array | null {
  if (bytes === undefined) return null
  try {
    return decodeSealed(row, bytes)
  } catch {
    return null
  }
}
