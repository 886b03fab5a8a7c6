import { isAtOrBelow } from '../../repair/watermark-vector.ts'
import { partitionOf } from '../../ring/token.ts'
import { parseHintRowKey } from '../../storage/hint-row.ts'
import type { ObjectKey } from '../../storage/keys.ts'
import type { ConflictMode, Version, Versions } from '../../storage/version.ts'
import { compareDots, covers, formatDot } from '../../storage/version-vector.ts'
import { hintOnDisk, versionsOfHint, versionsOnDisk } from './disk-inspection.ts'
import type { SimNode } from './sim-node.ts'

/**
 * Watermarks say what has reached all replicas: here they are held against what a power failure would leave on the disks.
 * Answers with every node that takes a version of this key to be on all replicas, while the disk of one of them has not
 * met it; `isBuried` tells what was overwritten by a tombstone that is collected. Means nothing once a disk has lost what
 * it had confirmed.
 */
export function falseClaims(
  nodes: readonly SimNode[],
  key: ObjectKey,
  {
    mode,
    isBuried
  }: { readonly mode: ConflictMode; readonly isBuried: (version: Version) => boolean }
): string[] {
  const ring = nodes.find(({ node }) => node !== null)?.node?.cluster.ring
  if (ring === undefined) return []
  const partition = partitionOf(key.token, ring.partitions)
  const replicas = new Set(ring.replicas(partition))
  const owners = nodes.filter(({ id }) => replicas.has(id))
  const [first, ...others] = owners.map(({ disk }) => disk.peek(key.id))
  const hinted = hintsFor(owners, nodes, key)
  // Mostly they are all the same.
  const isEqual = others.every((row) => row === first || (row && first?.equals(row)))
  if (isEqual && hinted.length === 0) return []
  const held = owners.map(({ id, disk }) => ({ id, versions: versionsOnDisk(disk, key.id) }))
  const wrong: string[] = []
  for (const { node } of nodes) {
    if (node === null) continue
    const watermark = node.arriving.watermarks.vector(partition)
    if (watermark.size === 0) continue
    for (const { id, versions } of [...held, ...hinted]) {
      for (const version of versions) {
        if (!isAtOrBelow(watermark, version.dot)) continue
        const lacking = held.filter((other) => !hasMet(other.versions, version, mode))
        if (lacking.length === 0 || isBuried(version)) continue
        const names = lacking.map((other) => other.id).join(', ')
        wrong.push(
          `${node.id} takes ${formatDot(version.dot)}, which ${id} holds, to be on all replicas, but not on ${names}`
        )
      }
    }
  }
  return wrong
}

/**
 * A hint has gone from a disk: then its target has on its own disk what the hint held, or where hints expire a majority
 * of the replicas has; or it is known to have reached all of them. Answers with what is not.
 */
export function lostWithHint(
  nodes: readonly SimNode[],
  gone: { readonly row: Buffer; readonly bytes: Buffer },
  { mode, hintsExpire }: { readonly mode: ConflictMode; readonly hintsExpire: boolean }
): string[] {
  const ring = nodes.find(({ node }) => node !== null)?.node?.cluster.ring
  if (ring === undefined) return []
  const { target, key } = parseHintRowKey(gone.row)
  const partition = partitionOf(key.token, ring.partitions)
  const replicas = ring.replicas(partition)
  const isSafe = (version: Version): boolean => {
    const holders = nodes.filter(({ disk }) => hasMet(versionsOnDisk(disk, key.id), version, mode))
    if (holders.some(({ id }) => id === target)) return true
    const count = holders.filter(({ id }) => replicas.includes(id)).length
    return hintsExpire && 2 * count > replicas.length
  }
  return versionsOfHint(gone.row, gone.bytes)
    .filter((version) => {
      const isProven = nodes.some(
        ({ node }) => node?.arriving.watermarks.atOrBelow(partition, version.dot) === true
      )
      return !isProven && !isSafe(version)
    })
    .map(
      ({ dot }) =>
        `a hint for ${target} is gone, and ${formatDot(dot)} is not on the disks of those that should have it`
    )
}

function hintsFor(
  owners: readonly SimNode[],
  nodes: readonly SimNode[],
  key: ObjectKey
): { id: string; versions: Versions }[] {
  const keepers = nodes.filter(({ disk }) => disk.hasHints)
  return owners.flatMap((owner) =>
    keepers.flatMap(({ id, disk }) => {
      const versions = id === owner.id ? [] : hintOnDisk(disk, owner.id, key)
      return versions.length === 0 ? [] : [{ id: `${id} for ${owner.id}`, versions }]
    })
  )
}

/** Whether a replica holds the version, or what has overwritten it; or may have let go a tombstone with all it buried. */
export function hasMet(versions: Versions, version: Version, mode: ConflictMode): boolean {
  if (mode === 'lww' && versions.some((other) => other.timeMs >= version.timeMs)) return true
  const isKnown = versions.some(
    ({ dot, past }) => compareDots(dot, version.dot) === 0 || covers(past, version.dot)
  )
  if (isKnown || !version.tombstone) return isKnown
  return !versions.some(({ dot }) => covers(version.past, dot))
}
