import { parseObjectKey, valueRowKey } from '../../storage/keys.ts'
import { isKeptApart } from '../../storage/object-codec.ts'
import { formatDot } from '../../storage/version-vector.ts'
import { versionsOnDisk } from './disk-inspection.ts'
import type { SimDisk } from './sim-disk.ts'

interface Owned {
  readonly id: string
  readonly disk: SimDisk
}

/** Dots that stand for more than one payload, on whatever disks. */
export function dotsWithTwoPayloads(nodes: readonly Owned[]): string[] {
  const payloads = new Map<string, string>()
  const wrong: string[] = []
  for (const { disk } of nodes) {
    for (const rowId of disk.rowsOf('o')) {
      for (const version of versionsOnDisk(disk, rowId)) {
        const dot = formatDot(version.dot)
        const hash = Buffer.from(version.contentHash).toString('hex')
        if ((payloads.get(dot) ?? hash) !== hash) wrong.push(`dot ${dot} stands for two payloads`)
        payloads.set(dot, hash)
      }
    }
  }
  return wrong
}

/** Values in rows of their own that belong to no version. */
export function valuesOfNothing(nodes: readonly Owned[]): string[] {
  return nodes.flatMap(({ id, disk }) => {
    const owned = new Set<string>()
    for (const rowId of disk.rowsOf('o')) {
      const key = parseObjectKey(Buffer.from(rowId, 'latin1'))
      for (const version of versionsOnDisk(disk, rowId)) {
        if (isKeptApart(version)) owned.add(valueRowKey(key, version.dot).toString('latin1'))
      }
    }
    const left = disk.rowsOf('v').filter((rowId) => !owned.has(rowId))
    return left.length === 0 ? [] : [`${id} keeps ${left.length} values that belong to no version`]
  })
}
