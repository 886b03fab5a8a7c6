import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'

const root = join(import.meta.dirname, '../..')

/** The floors with what each may import besides its own files; everything else must be refused. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  core: [],
  ring: ['core'],
  storage: ['core'],
  proto: ['core', 'ring', 'storage'],
  repair: ['core', 'ring', 'storage', 'proto'],
  server: ['core', 'ring', 'storage', 'proto', 'repair', 'client'],
  client: []
}
const pureFloors = ['core', 'ring', 'storage', 'proto', 'repair']
const folders = [...Object.keys(mayImport), 'test']

const imports = 'lint/style/noRestrictedImports'
const globals = 'lint/style/noRestrictedGlobals'
const properties = 'lint/nursery/noJsRestrictedProperties'

interface Sample {
  readonly path: string
  readonly source: string
  /** The rule that must refuse the sample; null where nothing may. */
  readonly refusedBy: string | null
}

const sampleOf = (
  folder: string,
  name: string,
  source: string,
  refusedBy: string | null
): Sample => ({
  path: `${folder}/${name}.ts`,
  source,
  refusedBy
})

function importSamples(): Sample[] {
  const samples: Sample[] = []
  for (const [folder, allowed] of Object.entries(mayImport)) {
    for (const target of folders.filter((other) => other !== folder)) {
      const rule = allowed.includes(target) ? null : imports
      const from = `'../${target}/target.ts'`
      samples.push(
        sampleOf(folder, `import-${target}`, `export { target } from ${from}\n`, rule),
        sampleOf(folder, `type-${target}`, `export type { Target } from ${from}\n`, rule),
        sampleOf(folder, `lazy-${target}`, `export const lazy = () => import(${from})\n`, rule)
      )
    }
  }
  return samples
}

const inputOutputModules = ['fs', 'fs/promises', 'net', 'http', 'http2', 'tls', 'dns', 'dgram']
  .concat(['child_process', 'worker_threads', 'os', 'process', 'timers', 'timers/promises'])
  .concat(['perf_hooks', 'crypto', 'readline'])
const inputOutputPackages = ['level', '@grpc/grpc-js', 'fastify', 'pino']
const deniedGlobals = ['Date', 'performance', 'setTimeout', 'setInterval', 'setImmediate'].concat([
  'clearTimeout',
  'queueMicrotask',
  'process',
  'fetch',
  'console',
  'crypto',
  'globalThis'
])

function pureFloorSamples(folder: string): Sample[] {
  const fileName = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  return [
    ...inputOutputModules.map((name) =>
      sampleOf(folder, `node-${fileName(name)}`, `export * from 'node:${name}'\n`, imports)
    ),
    ...inputOutputPackages.map((name) =>
      sampleOf(folder, `package-${fileName(name)}`, `export * from '${name}'\n`, imports)
    ),
    ...deniedGlobals.map((name) =>
      sampleOf(folder, `global-${fileName(name)}`, `export const taken = ${name}\n`, globals)
    ),
    sampleOf(folder, 'date-now', 'export const now = () => Date.now()\n', globals),
    sampleOf(folder, 'environment', 'export const home = process.env.HOME\n', globals),
    sampleOf(folder, 'random', 'export const dice = () => Math.random()\n', properties),
    sampleOf(
      folder,
      'random-taken-apart',
      'const { random } = Math\nexport const a = random()\n',
      properties
    ),
    sampleOf(folder, 'abort', 'export const soon = () => AbortSignal.timeout(1)\n', properties),
    sampleOf(folder, 'own', "export { target } from './target.ts'\n", null),
    sampleOf(
      folder,
      'port',
      'export const f = (now: number, max: number) => Math.max(now, max)\n',
      null
    )
  ]
}

const codeSamples: readonly Sample[] = [
  sampleOf(
    'storage',
    'level',
    "import { Level } from 'level'\nimport { statfs } from 'node:fs/promises'\nexport const open = [Level, statfs]\n",
    null
  ),
  sampleOf(
    'server',
    'clock',
    "export { setTimeout as wait } from 'node:timers/promises'\nexport const now = () => Date.now()\n",
    null
  ),
  sampleOf('client', 'package', "export * from 'fastify'\n", imports),
  sampleOf('client', 'file-system', "export * from 'node:fs'\n", imports),
  sampleOf('client', 'request', 'export const get = (url: string) => fetch(url)\n', null),
  sampleOf(
    'core',
    'cycle-one',
    "export { two } from './cycle-two.ts'\nexport const one = 1\n",
    'lint/suspicious/noImportCycles'
  ),
  sampleOf(
    'core',
    'cycle-two',
    "export { one } from './cycle-one.ts'\nexport const two = 2\n",
    'lint/suspicious/noImportCycles'
  ),
  sampleOf(
    'server',
    'floating',
    'async function work(): Promise<void> {}\nexport function start(): void {\n  work()\n}\n',
    'lint/nursery/noFloatingPromises'
  ),
  sampleOf(
    'server',
    'misused',
    'async function ready(): Promise<boolean> {\n  return true\n}\nexport const word = () => (ready() ? 1 : 2)\n',
    'lint/nursery/noMisusedPromises'
  ),
  sampleOf('server', 'any', 'export const open: any = 1\n', 'lint/suspicious/noExplicitAny'),
  sampleOf(
    'server',
    'non-null',
    'export const f = (a?: string): string => a!\n',
    'lint/style/noNonNullAssertion'
  ),
  sampleOf('server', 'default', 'export default 1\n', 'lint/style/noDefaultExport'),
  sampleOf('server', 'enum', 'export enum State {\n  Up\n}\n', 'lint/style/noEnum'),
  sampleOf(
    'server',
    'parameter',
    'export class A {\n  constructor(readonly b: number) {}\n}\n',
    'lint/style/noParameterProperties'
  ),
  sampleOf(
    'server',
    'unused-import',
    "import { target } from './target.ts'\nexport const a = 1\n",
    'lint/correctness/noUnusedImports'
  ),
  sampleOf(
    'server',
    'unused-variable',
    'export function f(): void {\n  const a = 1\n}\n',
    'lint/correctness/noUnusedVariables'
  ),
  sampleOf(
    'server',
    'type-import',
    "import { Target } from './target.ts'\nexport const f = (a: Target): Target => a\n",
    'lint/style/useImportType'
  ),
  sampleOf('server', 'bare-module', "export * from 'fs'\n", 'lint/style/useNodejsImportProtocol'),
  sampleOf('server', 'CamelCase', 'export const a = 1\n', 'lint/style/useFilenamingConvention'),
  sampleOf(
    'server',
    'missing-package',
    "export * from 'left-pad'\n",
    'lint/correctness/noUndeclaredDependencies'
  ),
  sampleOf(
    'test',
    'loose-assert',
    "export { ok } from 'node:assert'\n",
    'lint/style/useNodeAssertStrict'
  ),
  sampleOf(
    'test',
    'only',
    "import { test } from 'node:test'\ntest.only('alone', () => {})\n",
    'lint/suspicious/noFocusedTests'
  )
]

const samples = [...importSamples(), ...pureFloors.flatMap(pureFloorSamples), ...codeSamples]

/** Runs the project's own linter configuration over the samples; answers with the rules that spoke, by path. */
async function lint(directory: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome')
  const flags = ['lint', '--error-on-warnings', '--reporter=json', '--max-diagnostics=none']
  const stdout = await new Promise<string>((resolve) => {
    // The linter exits with 1 because it finds what it was given to find; what it found is on stdout.
    execFile(
      process.execPath,
      [biome, ...flags],
      { cwd: directory, maxBuffer: 2 ** 26 },
      (_, out) => resolve(out)
    )
  })
  const rules = new Map<string, Set<string>>()
  for (const { category, location } of JSON.parse(stdout).diagnostics) {
    rules.set(location.path, (rules.get(location.path) ?? new Set()).add(category))
  }
  return rules
}

describe('the linter keeps the floors', () => {
  let directory = ''
  let spoke: ReadonlyMap<string, ReadonlySet<string>> = new Map()

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'anneal-floors-'))
    for (const name of ['biome.json', 'package.json', '.gitignore']) {
      await cp(join(root, name), join(directory, name))
    }
    const target = 'export const target = 1\nexport interface Target {\n  readonly id: string\n}\n'
    for (const folder of folders) {
      await mkdir(join(directory, folder))
      await writeFile(join(directory, folder, 'target.ts'), target)
    }
    for (const { path, source } of samples) {
      await mkdir(dirname(join(directory, path)), { recursive: true })
      await writeFile(join(directory, path), source)
    }
    spoke = await lint(directory)
  })

  after(() => rm(directory, { recursive: true, force: true }))

  for (const folder of folders) {
    const here = samples.filter((sample) => sample.path.startsWith(`${folder}/`))
    test(`${folder}/: ${here.length} samples are refused or accepted as they should be`, () => {
      const wrong = here.filter(({ path, refusedBy }) => {
        const rules = spoke.get(path) ?? new Set()
        return refusedBy === null ? rules.size > 0 : !rules.has(refusedBy)
      })
      assert.deepEqual(wrong, [], 'each of these was judged otherwise than `refusedBy` says')
    })
  }

  test('the files that the samples import are clean themselves', () => {
    for (const folder of folders) assert.ok(!spoke.has(`${folder}/target.ts`), folder)
  })
})
