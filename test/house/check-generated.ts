import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * `npm run check:generated`: generates the code of the schema into a temporary directory and compares it with what is
 * committed in proto/gen. Exit codes: 0 equal, 1 stale or not to be generated.
 */

const root = join(import.meta.dirname, '../..')
const generated = 'proto/gen'

function fail(message: string): never {
  console.error(`check:generated: ${message}`)
  process.exit(1)
}

/** The contents of all files below `directory` by their relative path; none where there is no such directory. */
function filesBelow(directory: string): Map<string, string> {
  const files = new Map<string, string>()
  if (!existsSync(directory)) return files
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(path.slice(directory.length + 1), readFileSync(path, 'utf8'))
  }
  return files
}

/** One line for each file that is missing, not generated any more, or different. */
function differences(committed: Map<string, string>, fresh: Map<string, string>): string[] {
  const lines: string[] = []
  for (const [path, text] of fresh) {
    if (!committed.has(path)) lines.push(`${generated}/${path} is missing`)
    else if (committed.get(path) !== text)
      lines.push(`${generated}/${path} differs from its schema`)
  }
  for (const path of committed.keys()) {
    if (!fresh.has(path)) lines.push(`${generated}/${path} has no schema any more`)
  }
  return lines
}

const directory = mkdtempSync(join(tmpdir(), 'anneal-generated-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))

// npm puts node_modules/.bin on the path of its scripts: buf and its plugin are found there.
const buf = spawnSync('buf', ['generate', '--output', directory], { cwd: root, encoding: 'utf8' })
if (buf.error !== undefined) {
  fail(`buf did not start (${buf.error.message}); run this as \`npm run check:generated\``)
}
if (buf.status !== 0) fail(`buf generate failed:\n${buf.stderr}`)

const stale = differences(filesBelow(join(root, generated)), filesBelow(join(directory, generated)))
if (stale.length > 0) {
  fail(
    `the generated code is stale; run \`npm run generate\` and commit it.\n  ${stale.join('\n  ')}`
  )
}
console.log('check:generated: the generated code is what the schema gives')
