import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { DemoCommand } from './demo-actions.ts'

/** What a key that was pressed asks for. */
export type KeyWish =
  | { readonly kind: 'command'; readonly command: DemoCommand }
  | { readonly kind: 'help' }
  | { readonly kind: 'stop' }

export const divergedKeys = 1000

export const keysHelp = `k kill a node, r revive it, d diverge ${divergedKeys} keys, p repair, q stop`

const wishes: ReadonlyMap<string, KeyWish> = new Map<string, KeyWish>([
  ['k', { kind: 'command', command: { kind: 'kill', node: null } }],
  ['r', { kind: 'command', command: { kind: 'revive', node: null } }],
  ['d', { kind: 'command', command: { kind: 'diverge', node: null, keys: divergedKeys } }],
  ['p', { kind: 'command', command: { kind: 'repair' } }],
  ['?', { kind: 'help' }],
  ['h', { kind: 'help' }],
  ['q', { kind: 'stop' }],
  ['\u0003', { kind: 'stop' }],
  ['\u0004', { kind: 'stop' }]
])

/** Null for keys that mean nothing. */
export function wishOf(key: string): KeyWish | null {
  return wishes.get(key.toLowerCase()) ?? null
}

/** What `process.stdin` is where it is a terminal. */
export interface KeyInput {
  setRawMode(isRaw: boolean): unknown
  on(event: 'data', listener: (bytes: Buffer) => void): unknown
  off(event: 'data', listener: (bytes: Buffer) => void): unknown
  resume(): unknown
  pause(): unknown
}

/** Reads single keys; answers with a function that gives the terminal back as it was. */
export function readKeys(input: KeyInput, onWish: (wish: KeyWish) => void): () => void {
  const onData = (bytes: Buffer): void => {
    for (const key of bytes.toString()) {
      const wish = wishOf(key)
      if (wish !== null) onWish(wish)
    }
  }
  // Ctrl-C then arrives as a key and no longer as a signal.
  input.setRawMode(true)
  input.on('data', onData)
  input.resume()
  return () => {
    input.off('data', onData)
    input.setRawMode(false)
    input.pause()
  }
}

/**
 * Whether this process may read from its terminal: the system stops one in the background that tries (`npm start &`).
 * Unknown is no.
 */
export function isInForeground(): boolean {
  const [group, foreground] = processGroups()
  return group !== undefined && group === foreground
}

/** The process group of this process, and the one that its terminal listens to. */
function processGroups(): readonly (string | undefined)[] {
  if (process.platform !== 'linux') {
    const args = ['-o', 'pgid=,tpgid=', '-p', String(process.pid)]
    return spawnSync('ps', args, { encoding: 'utf8' }).stdout?.trim().split(/\s+/) ?? []
  }
  const stat = readFileSync('/proc/self/stat', 'utf8')
  // proc(5): behind the name in brackets come state, ppid, pgrp, session, tty_nr and tpgid.
  const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ')
  return [fields[2], fields[5]]
}
