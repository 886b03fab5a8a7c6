import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runCommand } from './command.ts'
import { unshareArguments } from './prerequisites.ts'

const runner = fileURLToPath(new URL('./run.ts', import.meta.url))

/**
 * Runs the suite once more in mount, network and process namespaces of its own, and resolves with its exit code. When
 * its first process ends, however it ends, the kernel ends all others and takes every mount, loop device, network and
 * namespace away that was made in there: nothing can be left behind.
 */
export function runInNamespaces(args: readonly string[], directory: string): Promise<number> {
  const command = [process.execPath, runner, ...args, '--inside', directory]
  const child = spawn('unshare', [...unshareArguments, ...command], {
    stdio: ['pipe', 'inherit', 'inherit']
  })
  // The suite ends with its stdin, which ends with this process at the latest.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.stdin.end())
  }
  child.stdin.on('error', () => {})
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}

/** To be called first in there: a loopback of its own, and a place for named network namespaces that nobody else sees. */
export async function settleInNamespaces(): Promise<void> {
  await runCommand('mount', '-t', 'tmpfs', 'tmpfs', '/run')
  await runCommand('ip', 'link', 'set', 'lo', 'up')
}
