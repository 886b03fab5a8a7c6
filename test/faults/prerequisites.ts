import { existsSync } from 'node:fs'
import { runCommand, succeeds } from './command.ts'
import type { Need } from './scenario.ts'

/** What each need takes besides root, the Debian package that brings it, and how to see that it is there. */
const programs: Partial<Record<Need, { package: string; isThere: () => Promise<boolean> }>> = {
  namespaces: { package: 'iproute2 util-linux', isThere: () => succeeds('ip', '-V') },
  python3: { package: 'python3', isThere: () => succeeds('python3', '--version') },
  ext4: { package: 'e2fsprogs', isThere: () => succeeds('mkfs.ext4', '-V') },
  faketime: { package: 'libfaketime', isThere: async () => libfaketimePath() !== null }
}

const namespaceFlags = ['--mount', '--net', '--pid', '--fork', '--propagation', 'private']

/** The arguments of `unshare` for namespaces that take everything in them away when they end. */
export const unshareArguments: readonly string[] = [
  ...namespaceFlags,
  '--kill-child',
  '--mount-proc'
]

/** Where Debian puts the library that tells a process another time; null where it is not installed. */
export function libfaketimePath(): string | null {
  const directories = [
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
    '/usr/lib64',
    '/usr/lib'
  ]
  const paths = directories.map((directory) => `${directory}/faketime/libfaketimeMT.so.1`)
  return paths.find((path) => existsSync(path)) ?? null
}

/**
 * Installs what is missing where that is possible, and answers with the needs that cannot be met, each with why. `say`
 * is told what is installed.
 */
export async function missingNeeds(
  needs: readonly Need[],
  say: (text: string) => void
): Promise<ReadonlyMap<Need, string>> {
  const missing = new Map<Need, string>()
  const isRoot = process.getuid?.() === 0
  for (const need of needs) {
    if (!isRoot) missing.set(need, 'only root may do this')
    else if (!(await canHave(need, say))) {
      missing.set(
        need,
        `${programs[need]?.package ?? need} is not there and could not be installed`
      )
    }
  }
  if (!isRoot) return missing
  if (needs.includes('namespaces') && !(await succeeds('unshare', ...unshareArguments, 'true'))) {
    missing.set('namespaces', 'the kernel or the container refuses namespaces (unshare)')
  }
  if (needs.includes('tun') && !existsSync('/dev/net/tun')) {
    missing.set('tun', 'there is no /dev/net/tun')
  }
  if (needs.includes('ext4') && !existsSync('/dev/loop-control')) {
    missing.set('ext4', 'there are no loop devices (/dev/loop-control)')
  }
  return missing
}

async function canHave(need: Need, say: (text: string) => void): Promise<boolean> {
  const program = programs[need]
  if (program === undefined || (await program.isThere())) return true
  say(`installing ${program.package} with apt-get`)
  const packages = program.package.split(' ')
  const install = ['install', '--yes', '--no-install-recommends', ...packages]
  try {
    await runCommand('apt-get', 'update')
    await runCommand('apt-get', ...install)
  } catch (error) {
    say(`could not install ${program.package}: ${error instanceof Error ? error.message : error}`)
  }
  return program.isThere()
}
