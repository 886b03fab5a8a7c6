import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

const root = join(import.meta.dirname, '../..')
export const rulesPath = join(root, 'deploy/prometheus/rules/anneal.yml')

export interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly annotations?: Readonly<Record<string, string>>
}

const text = readFileSync(rulesPath, 'utf8')

export const rules = (parse(text) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules
)
export const alerts = rules.filter(({ alert }) => alert !== undefined)

/**
 * The same rules with all times and thresholds in seconds cut down, so that a test sees alerts fire and clear within a
 * minute: what is waited for, windows of rates, the age of repair and of hints.
 */
export function hurriedRules(): string {
  return text
    .replaceAll(/^(\s+for:) .*$/gm, '$1 1s')
    .replaceAll(/\[(5m|10m)\]/g, '[8s]')
    .replaceAll('[1h]', '[15s]')
    .replaceAll('> 1200', '> 8')
    .replaceAll('> 5400', '> 3')
}

/** Names of metrics that an expression goes by, those of recording rules included. */
export function metricsOf(expression: string): string[] {
  return [...new Set(expression.match(/\b(anneal[_:][a-z0-9_:]+|up)\b/g) ?? [])]
}
