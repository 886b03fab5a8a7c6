import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { assert } from '../../core/assert.ts'

/** The folder of the package: two levels up in a checkout, three in what was compiled. */
export const packageRoot = findRoot(import.meta.dirname)

/** The version of this program, as in package.json. */
export const packageVersion = readVersion(packageRoot)

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const parent = dirname(folder)
  assert(parent !== folder, 'the program lies inside its package')
  return findRoot(parent)
}

function readVersion(root: string): string {
  const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert(typeof manifest === 'object' && manifest !== null && 'version' in manifest, 'a version')
  return String(manifest.version)
}
