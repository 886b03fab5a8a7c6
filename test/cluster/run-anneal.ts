import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../bin/anneal.js', import.meta.url))

export interface CommandRun {
  readonly exitCode: number | NodeJS.Signals
  readonly stdout: Buffer
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: Buffer
}

/** What processes need of the environment: the search path, and where Node.js keeps compiled code. */
const sparseEnvironment: NodeJS.ProcessEnv = {
  PATH: process.env['PATH'],
  ...(process.env['NODE_COMPILE_CACHE'] === undefined
    ? {}
    : { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] })
}

/** Starts `anneal` with its streams as pipes and little of the environment but `env`. */
export function spawnAnneal(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {}
): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn(process.execPath, [program, ...args], {
    env: { ...sparseEnvironment, ...env },
    stdio: ['pipe', 'pipe', 'pipe']
  })
}

/** Runs one command to its end. */
export function runAnneal(
  args: readonly string[],
  { env = {}, stdin }: RunOptions = {}
): Promise<CommandRun> {
  const child = spawnAnneal(args, env)
  const stdout: Buffer[] = []
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve({ exitCode: signal ?? code ?? -1, stdout: Buffer.concat(stdout), stderr })
    )
  })
}
