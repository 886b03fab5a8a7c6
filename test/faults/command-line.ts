import { parseArgs } from 'node:util'

export interface CommandLine {
  /** Names of scenarios; empty: all. */
  readonly only: readonly string[]
  /** Instead of each scenario's own number; null: that. */
  readonly rounds: number | null
  readonly isQuick: boolean
  readonly seed: string
  readonly help: boolean
  /** Null in the process that a person has started; otherwise the directory that it has made, and will remove. */
  readonly inside: string | null
}

/** Errors: throws with what is wrong, in words for the person who typed it. */
export function parseCommandLine(
  args: readonly string[],
  scenarios: readonly string[]
): CommandLine {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', multiple: true },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      help: { type: 'boolean', default: false },
      inside: { type: 'string' }
    }
  })
  const only = (values.only ?? []).flatMap((names) => names.split(','))
  const unknown = only.find((name) => !scenarios.includes(name))
  if (unknown !== undefined) {
    throw new Error(`there is no scenario "${unknown}"; there are ${scenarios.join(', ')}`)
  }
  const rounds = values.rounds === undefined ? null : Number(values.rounds)
  if (rounds !== null && !(Number.isInteger(rounds) && rounds > 0)) {
    throw new Error(`--rounds takes a whole number above 0, not "${values.rounds}"`)
  }
  return {
    only,
    rounds,
    isQuick: values.quick,
    seed: values.seed,
    help: values.help,
    inside: values.inside ?? null
  }
}
