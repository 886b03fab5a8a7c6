import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { commandReference } from '../../server/cli/reference.ts'
import { publishedSchema, replaceSection, settingsTable } from '../../server/config/reference.ts'

const folder = join(import.meta.dirname, '../../docs/reference')

/** The generated reference files, by path, as they should be now. */
export async function referenceFiles(): Promise<ReadonlyMap<string, string>> {
  const page = (name: string): string => readFileSync(join(folder, name), 'utf8')
  return new Map([
    [join(folder, 'configuration.schema.json'), publishedSchema()],
    [
      join(folder, 'configuration.md'),
      replaceSection(page('configuration.md'), 'settings', settingsTable())
    ],
    [
      join(folder, 'command-line.md'),
      replaceSection(page('command-line.md'), 'commands', await commandReference())
    ]
  ])
}

// Run as a program, it brings the files up to date: node test/config/write-reference.ts
if (import.meta.main) {
  for (const [path, content] of await referenceFiles()) writeFileSync(path, content)
}
