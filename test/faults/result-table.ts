import type { Findings } from './findings.ts'
import type { Scenario } from './scenario.ts'

export interface ScenarioResult {
  readonly scenario: Scenario
  /** Why it could not be tried; null where it was. */
  readonly notTried: string | null
  readonly rounds: number
  readonly findings: Findings
  readonly longestGapMs: number
  readonly longestHealingMs: number
  readonly seconds: number
}

/** Whether what was found is what has to be found. */
export function isAsItShould({ scenario, notTried, findings }: ScenarioResult): boolean {
  if (notTried !== null) return true
  if (scenario.mustLose !== true) return findings.isClean
  // An acknowledged write that is gone shows as well in the value that it had overwritten.
  const hasLost = findings.lost.size + findings.returned.size > 0
  return hasLost && findings.wrongBytes === 0 && findings.surprises.size === 0
}

const headings = [
  'scenario',
  'rounds',
  'acknowledged writes',
  'lost',
  'came back',
  'wrong bytes served',
  'longest unavailability',
  'longest healing',
  'seconds'
]

/** A table in Markdown, so that it can be kept as it is. */
export function renderTable(results: readonly ScenarioResult[]): string {
  const rows = results.map(cellsOf)
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0))
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  const rule = widths.map((width) => '-'.repeat(width))
  return [headings, rule, ...rows].map(line).join('\n')
}

function cellsOf(result: ScenarioResult): string[] {
  const { scenario, notTried, rounds, findings, longestGapMs, longestHealingMs, seconds } = result
  if (notTried !== null) return [scenario.name, 'not tried', ...headings.slice(2).map(() => '')]
  const lost = `${findings.lost.size}${scenario.mustLose === true ? ' (some, or came back)' : ''}`
  return [
    scenario.name,
    String(rounds),
    String(findings.acknowledged),
    lost,
    String(findings.returned.size),
    String(findings.wrongBytes),
    `${(longestGapMs / 1000).toFixed(1)} s`,
    `${(longestHealingMs / 1000).toFixed(1)} s`,
    String(Math.round(seconds))
  ]
}
