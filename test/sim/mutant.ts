import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Situation } from './situations.ts'

/** One place of the source and what it becomes. */
export interface Edit {
  /** From the root of the project. */
  readonly file: string
  /** The exact text; found exactly once. */
  readonly find: string
  readonly replace: string
}

/** The program with one rule broken. */
export interface Mutant {
  readonly name: string
  /** The rule that it breaks, as a sentence that is true of the program. */
  readonly rule: string
  readonly edits: readonly Edit[]
  /** Of lives that come to what it breaks more often than those that are drawn; see situations.ts. */
  readonly situation?: Situation
  /** For what no life can show: the test, from the root of the project, that is to notice it. */
  readonly test?: string
}

const root = join(import.meta.dirname, '../..')
const copied = ['core', 'ring', 'storage', 'proto', 'repair', 'server', 'test', 'package.json']

/**
 * The files that a mutant changes, as they become. The checkout is only read.
 *
 * Errors: where a text is not found exactly once, since the program is then no longer what the mutant was made for.
 */
export function mutatedFiles({ name, edits }: Mutant): Map<string, string> {
  const files = new Map<string, string>()
  for (const { file, find, replace } of edits) {
    const text = files.get(file) ?? readFileSync(join(root, file), 'utf8')
    const found = text.split(find).length - 1
    if (found !== 1) {
      throw new Error(
        `mutant "${name}": its text is found ${found} times in ${file} and must be found once; change the mutant along with the program:\n${find}`
      )
    }
    files.set(
      file,
      text.replace(find, () => replace)
    )
  }
  return files
}

/** A copy of the program, with the mutant's changes in it, until `remove` is called. */
export interface MutatedTree {
  readonly root: string
  remove(): void
}

/** Errors: as `mutatedFiles`. */
export function createMutatedTree(mutant: Mutant): MutatedTree {
  const files = mutatedFiles(mutant)
  const directory = mkdtempSync(join(tmpdir(), 'anneal-mutant-'))
  for (const path of copied) cpSync(join(root, path), join(directory, path), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  for (const [file, text] of files) writeFileSync(join(directory, file), text)
  return {
    root: directory,
    remove: () => rmSync(directory, { recursive: true, force: true })
  }
}
