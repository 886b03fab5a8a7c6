import type { ConfigProblem } from './config-error.ts'
import { wrongValue } from './config-error.ts'
import { checkValue, type Setting } from './settings.ts'

/**
 * What one source of settings says: checked values by path, where each came from, and what is wrong. A source that
 * gives one setting twice is refused, since no order between the two would be obvious.
 */
export class Layer {
  readonly values = new Map<string, unknown>()
  readonly problems: ConfigProblem[] = []
  readonly #sources = new Map<string, string>()

  set(setting: Setting, given: unknown, source: string): void {
    const earlier = this.#sources.get(setting.path)
    if (earlier !== undefined) {
      this.problem(
        setting.path,
        source,
        `is given twice, also by ${earlier}; leave one of them out`
      )
      return
    }
    this.#sources.set(setting.path, source)
    const checked = checkValue(setting, given)
    if (checked.ok) this.values.set(setting.path, checked.value)
    else this.problem(setting.path, source, wrongValue(setting, given))
  }

  problem(setting: string, source: string, message: string): void {
    this.problems.push({ setting, source, message })
  }
}

/** Reads a text file; throws where it cannot. */
export type ReadFile = (path: string) => string

/** Why a file could not be read, in a few words and without its content. */
export function readFailure(path: string, thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : String(thrown)
  const reasons = new Map([
    ['ENOENT', 'there is no such file'],
    ['EACCES', 'this user may not read it'],
    ['EISDIR', 'it is a directory']
  ])
  return `${path} cannot be read: ${reasons.get(code) ?? code}`
}
