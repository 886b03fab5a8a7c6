import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../bin/anneal.js', import.meta.url))

/** What `anneal bench` says to these arguments. */
export async function runBench(...args: string[]) {
  const child = spawn(process.execPath, [program, 'bench', ...args])
  const [stdout, stderr] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit')
  ])
  return { stdout, stderr, code: child.exitCode }
}
