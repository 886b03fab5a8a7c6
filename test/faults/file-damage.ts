import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  truncateSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import type { SeededRandom } from '../sim/seeded-random.ts'

export const fileKinds = ['table', 'log', 'manifest'] as const
export type FileKind = (typeof fileKinds)[number]

export const damageKinds = ['bits', 'truncated'] as const
export type DamageKind = (typeof damageKinds)[number]

const patterns: Record<FileKind, RegExp> = {
  table: /\.ldb$/,
  log: /\.log$/,
  manifest: /^MANIFEST-/
}
const flipsMax = 40

/**
 * Damages LevelDB files of one kind in this directory, which no process may have open. Answers with what was done, for
 * people; null where there is no such file with anything in it.
 */
export function damageFiles(
  database: string,
  file: FileKind,
  kind: DamageKind,
  random: SeededRandom
): string | null {
  const names = readdirSync(database).filter((name) => patterns[file].test(name))
  const paths = names.map((name) => join(database, name)).filter((path) => statSync(path).size > 0)
  if (paths.length === 0) return null
  // Half the tables, so that some of what is damaged is in use; there is only one log and one manifest.
  const chosen = paths.filter((_, index) => index === 0 || random.chance(0.5))
  for (const path of chosen) {
    if (kind === 'bits') flipBits(path, random)
    else truncateSync(path, random.int(statSync(path).size))
  }
  return `${chosen.length} of ${paths.length} ${file} files ${kind === 'bits' ? 'with flipped bits' : 'truncated'}`
}

function flipBits(path: string, random: SeededRandom): void {
  const { size } = statSync(path)
  const descriptor = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  try {
    for (let flips = 1 + random.int(flipsMax); flips > 0; flips--) {
      const position = random.int(size)
      readSync(descriptor, byte, 0, 1, position)
      byte.writeUInt8(byte.readUInt8() ^ (1 << random.int(8)))
      writeSync(descriptor, byte, 0, 1, position)
    }
  } finally {
    closeSync(descriptor)
  }
}
