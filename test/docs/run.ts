import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Command, codeBlocks, commandsOf } from './code-blocks.ts'
import { failing, notRun } from './exceptions.ts'

const root = join(import.meta.dirname, '../..')
const commandSeconds = 60
const help = `npm run check:docs [-- PAGE...]

Runs the commands of README.md, the tutorial and the how-to guides, as they stand there, page by page against a demo
cluster of its own on the ports that the pages name (8801 to 8803), and says which were not run, and why.`

interface Page {
  readonly name: string
  readonly commands: readonly Command[]
}

function pagesNamed(wanted: readonly string[]): Page[] {
  const inFolder = (folder: string) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`)
  const names = ['README.md', ...inFolder('docs/tutorial'), ...inFolder('docs/how-to')]
  const unknown = wanted.filter((name) => !names.includes(name))
  if (unknown.length > 0) throw new Error(`no such page: ${unknown.join(', ')}`)
  return names
    .filter((name) => wanted.length === 0 || wanted.includes(name))
    .map((name) => {
      const blocks = codeBlocks(readFileSync(join(root, name), 'utf8'))
      return { name, commands: blocks.flatMap(commandsOf) }
    })
}

/** A shell that is told one command after the other, as a reader's is, in a directory that is thrown away. */
class Shell {
  readonly #child: ChildProcess
  #output = ''
  #ended: (exitCode: number) => void = () => {}

  constructor(directory: string) {
    const path = [join(root, 'node_modules/.bin'), process.env['PATH']].join(delimiter)
    this.#child = spawn('bash', ['--noprofile', '--norc'], {
      cwd: directory,
      env: { ...process.env, PATH: path, NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        const end = /^__ended__ (\d+)$/.exec(line)
        if (end === null) this.#output += `${line}\n`
        else this.#ended(Number(end[1]))
      })
    }
  }

  async run(command: string): Promise<{ exitCode: number; output: string }> {
    this.#output = ''
    const exitCode = await new Promise<number>((resolve) => {
      const timer = setTimeout(() => resolve(-1), commandSeconds * 1000)
      this.#ended = (code) => {
        clearTimeout(timer)
        resolve(code)
      }
      this.#child.stdin?.write(`${command}\nprintf '\\n__ended__ %s\\n' $?\n`)
    })
    return { exitCode, output: this.#output }
  }

  /** With everything that it has left running. */
  end(): void {
    if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL')
  }
}

/** The repository as a reader has it, so that nothing that a page creates is left in the real one. */
function workingCopy(): string {
  const directory = mkdtempSync(join(tmpdir(), 'anneal-docs-'))
  for (const name of readdirSync(root)) {
    if (name !== '.git') symlinkSync(join(root, name), join(directory, name))
  }
  return directory
}

async function startDemo(directory: string): Promise<ChildProcess> {
  const data = join(directory, 'demo-data')
  const child = spawn(process.execPath, [join(root, 'bin/anneal.js'), 'demo', '--data', data], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' }
  })
  let said = ''
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        said += `${line}\n`
        if (line.startsWith('Stop:')) resolve()
      })
    }
    child.once('close', () => reject(new Error(`the demo did not start:\n${said}`)))
  })
  return child
}

async function stopDemo(child: ChildProcess): Promise<void> {
  const closed = new Promise((resolve) => child.once('close', resolve))
  if (child.exitCode === null && child.kill('SIGINT')) await closed
}

/** How to start a cluster by hand tells in words what to put into which file, and to use three terminals. */
function byHand(directory: string, page: string, command: string): string {
  if (page !== 'docs/how-to/start-a-cluster.md' || !command.includes('start --config'))
    return command
  const [yaml] = codeBlocks(readFileSync(join(root, page), 'utf8')).filter(
    ({ language }) => language === 'yaml'
  )
  const n = /n(\d)\.yaml/.exec(command)?.[1] ?? '1'
  const [node = '', seeds = ''] = (yaml?.lines.join('\n') ?? '').split('seeds:')
  const own = node
    .replaceAll('n1', `n${n}`)
    .replaceAll('8801', `880${n}`)
    .replaceAll('9801', `980${n}`)
  writeFileSync(join(directory, 'cluster', `n${n}.yaml`), `${own}seeds:${seeds}`)
  return `${command} >n${n}.log 2>&1 &`
}

/** Answers how many commands did not do what they should. */
async function runPage({ name, commands }: Page): Promise<number> {
  const todo = commands.filter(({ text }) => whyNot(name, text) === null)
  console.log(`${name}: ${todo.length} of ${commands.length} commands`)
  if (todo.length === 0) return 0
  const directory = workingCopy()
  const isByHand = name === 'docs/how-to/start-a-cluster.md'
  const demo = isByHand ? null : await startDemo(directory)
  const shell = new Shell(directory)
  const met = new Map<string, number>()
  let wrong = 0
  try {
    for (const { line, text } of todo) {
      const nth = (met.get(text) ?? 0) + 1
      met.set(text, nth)
      if (isByHand && text.includes('readyz')) await allReady()
      const { exitCode, output } = await shell.run(byHand(directory, name, text))
      const expected =
        failing.find((other) => other.page === name && other.command === text && other.nth === nth)
          ?.exitCode ?? 0
      const refused = /^HTTP\/1.1 (4(?!04)\d\d|5\d\d).*$/m.exec(output)
      if (exitCode === expected && refused === null) continue
      wrong++
      const what = refused === null ? `exit code ${exitCode} instead of ${expected}` : refused[0]
      console.log(`  ${name}:${line}: ${text}\n    ${what}\n${output.replaceAll(/^/gm, '    ')}`)
    }
  } finally {
    shell.end()
    if (demo !== null) await stopDemo(demo)
    rmSync(directory, { recursive: true, force: true })
  }
  return wrong
}

async function allReady(): Promise<void> {
  const deadline = Date.now() + commandSeconds * 1000
  for (const port of [8801, 8802, 8803]) {
    while (Date.now() < deadline) {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null)
      if (answer?.ok === true) break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

function whyNot(page: string, command: string): string | null {
  return notRun.find((o) => o.page === page && command.startsWith(o.command))?.why ?? null
}

const wanted = process.argv.slice(2)
if (wanted.includes('--help')) {
  console.log(help)
} else {
  const pages = pagesNamed(wanted)
  let wrong = 0
  for (const page of pages) wrong += await runPage(page)
  for (const { name, commands } of pages) {
    for (const { line, text } of commands) {
      const why = whyNot(name, text)
      if (why !== null) console.log(`NOT RUN ${name}:${line}: ${text.slice(0, 60)} (${why})`)
    }
  }
  console.log(wrong === 0 ? 'all commands did what they should' : `${wrong} commands failed`)
  process.exitCode = wrong === 0 ? 0 : 1
}
