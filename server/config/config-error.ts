import type { Setting } from './settings.ts'

/** One thing that is wrong with the configuration. */
export interface ConfigProblem {
  /** The path of the setting, or the name as it was given where there is no such setting. */
  readonly setting: string
  /** Where it was given, for people: `file anneal.yaml`, `variable ANNEAL_HTTP`, `flag --http`. */
  readonly source: string
  /** What is wrong and what is allowed. Never holds the value of a secret. */
  readonly message: string
}

/** Everything that is wrong with a configuration, at once, so that one start shows it all. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    const lines = problems.map(
      ({ setting, source, message }) => `  ${setting} (${source}): ${message}`
    )
    const heading =
      problems.length === 1 ? 'a setting is wrong' : `${problems.length} settings are wrong`
    super([`the configuration cannot be used, ${heading}:`, ...lines].join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

const shownCharactersMax = 80

/** A value as it may be shown: on one line, of bounded length, control characters escaped. */
export function showValue(value: unknown): string {
  const shown = JSON.stringify(value) ?? String(value)
  return shown.length <= shownCharactersMax ? shown : `${shown.slice(0, shownCharactersMax)}…`
}

/** What is wrong with a value that its setting does not take. */
export function wrongValue(setting: Setting, value: unknown): string {
  const shown = setting.secret ? 'the value (not shown)' : showValue(value)
  return `${shown} is not allowed; it takes ${setting.allowed}`
}

/**
 * What is wrong with a name that is not known. The value is shown only where it can hardly be a secret that was meant
 * for another name: scalars, under a name that neither resembles nor sounds like a secret.
 */
export function unknownName(
  unknown: string,
  value: unknown,
  meant: { readonly name: string; readonly setting: Setting } | null
): string {
  const secret =
    meant?.setting.secret === true || /secret|pass|token|key|auth|cert|tls/i.test(unknown)
  const shown = secret || typeof value === 'object' ? '' : ` (given as ${showValue(value)})`
  const suggestion =
    meant === null
      ? 'docs/reference/configuration.md lists them all'
      : `did you mean ${meant.name}, which takes ${meant.setting.allowed}?`
  return `there is no such setting${shown}; ${suggestion}`
}
