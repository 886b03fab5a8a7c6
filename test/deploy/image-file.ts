import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const dockerfile = readFileSync(join(root, 'deploy/Dockerfile'), 'utf8').replaceAll(/\\\n/g, ' ')

/** The instructions of deploy/Dockerfile with this name, in order, each without it. */
export function instructions(name: string): readonly string[] {
  return [...dockerfile.matchAll(new RegExp(`^${name}\\s+(.+)$`, 'gm'))].map(
    ([, rest = '']) => rest
  )
}

/** The settings that the image gives a node. */
export const imageEnvironment: Readonly<Record<string, string>> = Object.fromEntries(
  instructions('ENV').flatMap((line) =>
    [...line.matchAll(/(\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value])
  )
)
